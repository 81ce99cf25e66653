package doctor

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// roleRow is what PostgreSQL says of a role.
type roleRow struct {
	Name     string
	Super    bool
	Bypasses bool
	Login    bool
	Member   bool // the login role is a member
}

const rolesSQL = `
SELECT rolname AS name, rolsuper AS super, rolbypassrls AS bypasses, rolcanlogin AS login,
       pg_has_role(session_user, oid, 'MEMBER') AS member
FROM pg_roles
WHERE rolname IN (session_user, 'mana_owner', 'mana_user', 'mana_system')`

// roles checks that nobody the process acts as can pass row-level security.
func (d *doctor) roles(ctx context.Context, conn *pgx.Conn) {
	rows, _ := conn.Query(ctx, rolesSQL)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[roleRow])
	if err != nil {
		d.fail("roles", "%v", err)
		return
	}
	missing := map[string]bool{"mana_owner": true, "mana_user": true, "mana_system": true}
	var faults []string
	for _, role := range list {
		ours := missing[role.Name]
		delete(missing, role.Name)
		switch {
		case role.Super:
			faults = append(faults, role.Name+" is a superuser, whom row-level security does not bind: ALTER ROLE … NOSUPERUSER")
		case role.Bypasses:
			faults = append(faults, role.Name+" passes row-level security: ALTER ROLE … NOBYPASSRLS")
		case ours && role.Login:
			faults = append(faults, role.Name+" can log in: ALTER ROLE … NOLOGIN")
		case ours && !role.Member:
			faults = append(faults, "the login role is no member of "+role.Name+": GRANT it")
		}
	}
	for name := range missing {
		faults = append(faults, name+" is missing: run `mana-edge mana migrate`")
	}
	if len(faults) > 0 {
		d.fail("roles", "%s", strings.Join(faults, "; "))
		return
	}
	d.ok("roles", "none passes row-level security")
}

const unprotectedSQL = `
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('auth', 'credits', 'gifts', 'subscriptions')
  AND c.relkind IN ('r', 'p')
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND pg_get_userbyid(c.relowner) = 'mana_owner')
ORDER BY 1`

// rowSecurity checks that every table is under forced row-level security.
func (d *doctor) rowSecurity(ctx context.Context, conn *pgx.Conn) {
	rows, _ := conn.Query(ctx, unprotectedSQL)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		d.fail("row security", "%v", err)
	case len(tables) > 0:
		d.fail("row security", "not forced, or not owned by mana_owner: %s; somebody changed them by hand", strings.Join(tables, ", "))
	default:
		d.ok("row security", "forced on every table")
	}
}
