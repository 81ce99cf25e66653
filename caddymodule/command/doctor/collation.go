package doctor

import (
	"context"

	"github.com/jackc/pgx/v5"
)

const collationSQL = `
SELECT quote_ident(datname), coalesce(datcollversion, ''), coalesce(pg_database_collation_actual_version(oid), '')
FROM pg_database
WHERE datname = current_database()`

// collation compares the version of the collation that the database was made
// with to that of the library which the server uses now. Our own keys do not
// depend on it.
func (d *doctor) collation(ctx context.Context, conn *pgx.Conn) {
	var name, made, now string
	if err := conn.QueryRow(ctx, collationSQL).Scan(&name, &made, &now); err != nil {
		d.fail("collation", "%v", err)
		return
	}
	d.judgeCollation(name, made, now)
}

func (d *doctor) judgeCollation(name, made, now string) {
	if made != "" && made != now {
		d.warn("collation", "the database was made with version %s of its collation, the server now has %s; keys are not affected, "+
			"but let an owner run: REINDEX DATABASE %s; ALTER DATABASE %s REFRESH COLLATION VERSION;", made, now, name, name)
		return
	}
	d.ok("collation", "as when the database was made; keys are compared as bytes")
}
