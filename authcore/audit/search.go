package audit

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/keyset"
)

// Filter selects events of everybody. Empty fields select all.
type Filter struct {
	UserID    string
	Type      string
	IPAddress string    // as it is written in the event
	Since     time.Time // included
	Until     time.Time // not included
	Before    keyset.Cursor
	Limit     int
}

const entryColumns = `e.id::text AS id, e.event_type AS type, e.user_id, u.email, e.ip_address, e.user_agent, e.metadata, e.created_at`

// Search reads the events of a filter, the newest first, and the cursor of the
// next page. Each filter is served by an index.
func Search(ctx context.Context, db dbscope.DB, f Filter) ([]Entry, keyset.Cursor, error) {
	sql, args := searchSQL(f)
	list, err := dbscope.List[Entry](ctx, db, dbscope.System(), sql, args...)
	list, next := keyset.Cut(list, f.Limit, func(e Entry) keyset.Cursor { return keyset.Cursor{At: e.CreatedAt, ID: e.ID} })
	return list, next, err
}

func searchSQL(f Filter) (sql string, args []any) {
	var w keyset.Where
	for _, c := range []struct{ condition, value string }{
		{`e.user_id = ?`, f.UserID}, {`e.event_type = ?`, f.Type}, {`e.ip_address = ?`, f.IPAddress},
	} {
		if c.value != "" {
			w.And(c.condition, c.value)
		}
	}
	if !f.Since.IsZero() {
		w.And(`e.created_at >= ?`, f.Since)
	}
	if !f.Until.IsZero() {
		w.And(`e.created_at < ?`, f.Until)
	}
	if !f.Before.IsZero() {
		w.And(`(e.created_at, e.id) < (?, ?::text::uuid)`, f.Before.At, f.Before.ID)
	}
	return `SELECT ` + entryColumns + `
		 FROM (SELECT * FROM auth.security_events AS e` + w.String() + keyset.Newest("e") + ` LIMIT ` + w.Arg(f.Limit+1) + `) AS e
		 LEFT JOIN auth.users AS u ON u.id = e.user_id` + keyset.Newest("e"), w.Args()
}

// ByID is an event, with [github.com/jackc/pgx/v5.ErrNoRows] for none. The id has
// the form of a UUID (RFC 9562).
func ByID(ctx context.Context, db dbscope.DB, id string) (Entry, error) {
	return dbscope.One[Entry](ctx, db, dbscope.System(),
		`SELECT `+entryColumns+`
		 FROM auth.security_events AS e
		 LEFT JOIN auth.users AS u ON u.id = e.user_id
		 WHERE e.id = $1::text::uuid`, id)
}

// Hour is how many events of some types there were in an hour, by its beginning.
type Hour struct {
	At time.Time
	N  int64
}

const hoursSQL = `SELECT date_trunc('hour', e.created_at) AS at, count(*) AS n
	FROM auth.security_events AS e
	WHERE e.event_type = ANY ($1) AND e.created_at >= $2
	GROUP BY 1`

// Hours counts events by the hour (UTC); hours without any are left out.
func Hours(ctx context.Context, db dbscope.DB, since time.Time, types ...string) ([]Hour, error) {
	return dbscope.List[Hour](ctx, db, dbscope.System(), hoursSQL, types, since)
}
