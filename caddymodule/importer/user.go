package importer

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
)

// users keep their ids. Accounts that were closed come without what tells who their
// owner was, for the ledger to point at.
var users = userTable{table{
	name: "auth.users", key: "id", from: "auth.users", fromKey: "id",
	columns: []string{"name", "email", "email_verified", "image", "created_at", "updated_at", "role", "deleted_at"},
	watched: []string{"name", "email", "email_verified", "image", "role", "disabled_at", "deleted_at"},
	make:    (*run).user,
}}

// userTable is a table after which it is known who is here.
type userTable struct{ table }

func (tab *userTable) step() step {
	return step{tab.name, func(r *run, ctx context.Context) error {
		if err := r.table(ctx, &tab.table); err != nil {
			return err
		}
		return r.inBatch(ctx, tab.name, func(tx pgx.Tx, _ *tally) error { return r.readPeople(ctx, tx) })
	}}
}

// readPeople learns which users were carried over, and are here still.
func (r *run) readPeople(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT u.id, u.deleted_at IS NULL FROM auth.users AS u JOIN mana.imported AS m ON m.kind = 'auth.users' AND m.id = u.id`)
	if err != nil {
		return err
	}
	r.people, r.closed = make(map[string]bool), make(map[string]bool)
	var id string
	var alive bool
	_, err = pgx.ForEachRow(rows, []any{&id, &alive}, func() error {
		if alive {
			r.people[id] = true
		} else {
			r.closed[id] = true
		}
		return nil
	})
	return err
}

// readAddresses decides whose an address is that several accounts have in different
// spellings: that of the account that has proven it, else of the oldest.
func (r *run) readAddresses(ctx context.Context) error {
	r.addresses = make(map[string]string)
	rows, err := r.src.tx.Query(ctx, `
		SELECT t.id::text, t.email FROM auth.users AS t
		WHERE t.deleted_at IS NULL
		ORDER BY t.email_verified DESC, t.created_at, t.id`)
	if err != nil {
		return err
	}
	var id, email string
	_, err = pgx.ForEachRow(rows, []any{&id, &email}, func() error {
		canonical := address.Lookup(email)
		if _, taken := r.addresses[canonical]; !taken {
			r.addresses[canonical] = id
		}
		return nil
	})
	return err
}

func (r *run) user(t *tally, in sourceRow) []row {
	out := in.row.only("id", "name", "email", "email_verified", "image", "created_at", "updated_at", "role", "deleted_at")
	switch {
	case in.id == "":
		t.refuse(in.id, "it has no id")
		return nil
	case strings.HasPrefix(in.id, "org:"):
		t.refuse(in.id, "its id begins with org:, which names accounts of organisations")
		return nil
	}
	if role := in.row.text("role"); role == string(principal.RoleSupport) || !principal.Role(role).Valid() {
		t.mend(in.id, "role: "+role+" is not known here, and became user")
		out["role"] = string(principal.RoleUser)
	}
	if in.row.has("deleted_at") {
		out["name"], out["image"], out["email_verified"] = "", nil, false
		out["email"] = placeholder("deleted-", in.id, "deleted")
		return []row{out}
	}
	r.mendAddress(t, in, out)
	return []row{out}
}

// mendAddress gives an account the canonical form of its address.
func (r *run) mendAddress(t *tally, in sourceRow, out row) {
	email := in.row.text("email")
	canonical := address.Lookup(email)
	_, reason := address.Canonical(email)
	switch {
	case canonical == "" || canonical != strings.ToLower(canonical):
		t.mend(in.id, "email: is none, and became one of its own that nobody reads")
	case r.addresses[canonical] != in.id:
		t.mend(in.id, "email: is that of user "+r.addresses[canonical]+" in another spelling, and became one of its own that nobody reads")
	default:
		out["email"] = canonical
		if reason != nil {
			t.mend(in.id, reason.Error()+"; it was kept as it is, in lower case")
		} else if canonical != email {
			t.mend(in.id, "email: was brought into its canonical form")
		}
		return
	}
	out["email"], out["email_verified"] = placeholder("duplicate-", in.id, "duplicate"), false
}

// placeholder is an address that nobody can have (RFC 2606, section 2).
func placeholder(prefix, id, domain string) string {
	return prefix + strings.ToLower(id) + "@" + domain + ".invalid"
}

// credentials are the passwords, and the accounts at providers without their tokens.
var credentials = table{
	name: "auth.accounts", key: "id", fromKey: "id",
	query: `
		SELECT to_jsonb(t) || jsonb_build_object('nth', row_number() OVER (PARTITION BY t.user_id, t.provider_id
			ORDER BY t.password IS NULL, t.updated_at DESC, t.id))
		FROM auth.accounts AS t ORDER BY t.id::text COLLATE "C"`,
	columns: []string{"account_id", "provider_id", "user_id", "password", "created_at", "updated_at"},
	watched: []string{"password", "account_id"},
	gone:    deleted,
	make: func(r *run, t *tally, in sourceRow) []row {
		out := in.row.only("id", "account_id", "provider_id", "user_id", "password", "created_at", "updated_at")
		if !r.owned(t, in, "user_id") {
			return nil
		}
		if in.row.text("provider_id") != "credential" {
			out["password"] = nil
			return []row{out}
		}
		if in.row.number("nth") > 1 {
			t.refuse(in.id, "its user has a newer password account")
			return nil
		}
		out["account_id"] = in.row.text("user_id")
		if hash := in.row.text("password"); hash != "" && !password.Readable(hash) {
			t.mend(in.id, "password: its form is not known here; its user must reset it")
			out["password"] = nil
		}
		return []row{out}
	},
}

// owned reports whether the user that a column names is here, and refuses the row
// where not.
func (r *run) owned(t *tally, in sourceRow, column string) bool {
	switch id := in.row.text(column); {
	case r.people[id]:
		return true
	case r.closed[id]:
		return false // what was theirs went with them
	default:
		t.refuse(in.id, "its user "+id+" was not carried over")
		return false
	}
}

// settings hold the language of a user.
var settings = table{
	name: "auth.user_settings", key: "user_id", from: "auth.user_settings", fromKey: "user_id",
	columns: []string{"global_settings", "app_overrides", "device_settings"},
	watched: []string{"global_settings", "app_overrides", "device_settings"},
	gone:    deleted,
	make: func(r *run, t *tally, in sourceRow) []row {
		if !r.owned(t, in, "user_id") {
			return nil
		}
		out := in.row.only("user_id", "global_settings", "app_overrides", "device_settings")
		for _, column := range []string{"global_settings", "app_overrides", "device_settings"} {
			if _, ok := out[column].(map[string]any); !ok {
				t.mend(in.id, column+": is no object, and was emptied")
				out[column] = row{}
			}
		}
		return []row{out}
	},
}
