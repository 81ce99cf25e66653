package api_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

const (
	pageSize    = 8 << 10
	segmentSize = 1 << 30 // of a file of a relation; the next one ends in .1
)

// grown are the tables that are counted in millions, by the rows they get.
var grown = map[string]float64{
	"auth.users": 10e6, "auth.accounts": 10e6, "auth.sessions": 10e6, "auth.api_keys": 10e6, "auth.user_words": 40e6, "auth.security_events": 1e9,
	"gifts.gift_codes": 10e6, "gifts.gift_redemptions": 10e6, "credits.cards": 10e6,
	"credits.alerts": 10e6, "credits.balances": 10e6, "credits.lots": 10e6, "credits.purchases": 10e6, "credits.transactions": 1e9,
}

// inflate makes a crowded site one of ten million users and a billion ledger rows
// and events, as far as the planner can tell: it goes by what ANALYZE has found,
// by the rows a page, and by how long the files are, which grow by holes here. A
// plan that reads such a file from end to end does not come back.
func inflate(t *testing.T, s *site) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	var dir string
	if err := conn.QueryRow(t.Context(), `SHOW data_directory`).Scan(&dir); err != nil {
		t.Fatal(err)
	}
	type relation struct {
		OID   uint32
		Path  string
		Pages float64
	}
	for table, want := range grown {
		var rows float64
		if err := conn.QueryRow(t.Context(), `SELECT reltuples FROM pg_class WHERE oid = $1::regclass`, table).Scan(&rows); err != nil || rows <= 0 {
			t.Fatalf("%s has %g rows, %v", table, rows, err)
		}
		found, err := conn.Query(t.Context(), `
			SELECT c.oid, pg_relation_filepath(c.oid) AS path, c.relpages::float8 AS pages
			FROM pg_class AS c
			WHERE c.oid = $1::regclass OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = $1::regclass)`, table)
		if err != nil {
			t.Fatal(err)
		}
		relations, err := pgx.CollectRows(found, pgx.RowToStructByName[relation])
		if err != nil {
			t.Fatal(err)
		}
		factor := want / rows
		for _, r := range relations {
			pages := int64(r.Pages * factor)
			stretch(t, filepath.Join(dir, r.Path), pages*pageSize)
			exec(`UPDATE pg_class SET reltuples = reltuples * $2::float8, relpages = $3 WHERE oid = $1`, r.OID, factor, pages)
		}
		exec(`UPDATE pg_statistic AS s SET stadistinct = $2
			FROM pg_attribute AS a
			WHERE s.starelid = $1::regclass AND a.attrelid = s.starelid AND a.attnum = s.staattnum AND a.attname = 'user_id'`, table, min(want, 10e6))
	}
}

// stretch makes the files of a relation longer, up to a size of all.
func stretch(t *testing.T, path string, size int64) {
	t.Helper()
	for i := int64(0); i*segmentSize < size; i++ {
		name, length := path, min(size-i*segmentSize, segmentSize)
		if i > 0 {
			name += "." + strconv.FormatInt(i, 10)
		}
		info, err := os.Stat(name)
		if err == nil && info.Size() >= length {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = os.WriteFile(name, nil, 0o600)
			if owner, ok := ownerOf(path); ok && err == nil {
				err = os.Chown(name, owner.uid, owner.gid)
			}
		}
		if err == nil {
			err = os.Truncate(name, length)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// owner is whom a file belongs to: the server may run as somebody else.
type owner struct{ uid, gid int }

func ownerOf(path string) (owner, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return owner{}, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}, false
	}
	return owner{int(stat.Uid), int(stat.Gid)}, true
}
