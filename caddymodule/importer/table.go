package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// table is carried over row by row.
type table struct {
	// name is that here, and key the column that names a row.
	name, key string
	// query reads the rows, each in JSON; from and fromKey are its table and key there
	// where query is empty.
	query         string
	from, fromKey string
	// columns are those that are written, without the key.
	columns []string
	// watched are the columns by which a change here shows.
	watched []string
	// gone is done with what was carried over and is no longer at the source: nothing
	// where it is empty. $1 are the ids.
	gone string
	// replaces removes what stands in the way of new rows, $1, and nobody has used: what
	// an edge writes at its start.
	replaces string
	// make gives the rows to write, mended; none for a row that is left out.
	make func(r *run, t *tally, in sourceRow) []row
}

const (
	deleted = "DELETE FROM %s AS t USING"
	ended   = "UPDATE %s AS t SET revoked_at = now() FROM"
)

func (tab *table) step() step {
	return step{tab.name, func(r *run, ctx context.Context) error { return r.table(ctx, tab) }}
}

func (tab *table) source() string {
	if tab.query != "" {
		return tab.query
	}
	return fmt.Sprintf(`SELECT to_jsonb(t) FROM %s AS t ORDER BY t.%s::text COLLATE "C"`, tab.from, tab.fromKey)
}

func (tab *table) sourceKey() string {
	if tab.fromKey != "" {
		return tab.fromKey
	}
	return tab.key
}

// written is the mark of a row as it stands here.
func (tab *table) written(alias string) string {
	return "md5(ROW(" + alias + "." + strings.Join(tab.watched, ", "+alias+".") + ")::text)"
}

// pending is a row that is to be written.
type pending struct {
	id, digest string
	row        row
}

func (r *run) table(ctx context.Context, tab *table) error {
	seen := make(map[string]bool)
	err := r.src.each(ctx, tab.sourceKey(), tab.source(), batchSize, func(list []sourceRow) error {
		t := &tally{table: tab.name}
		rows := make([]pending, 0, len(list))
		for _, in := range list {
			for _, out := range tab.make(r, t, in) {
				id := out.text(tab.key)
				rows, seen[id] = append(rows, pending{id, in.digest, out}), true
			}
		}
		r.report.add(t)
		err := r.inBatch(ctx, tab.name, func(tx pgx.Tx, t *tally) error { return r.write(ctx, tx, t, tab, rows) })
		if _, refused := refusal(err); !refused {
			return err
		}
		// One of them does not fit: all are tried alone.
		for _, p := range rows {
			err := r.inBatch(ctx, tab.name, func(tx pgx.Tx, t *tally) error { return r.write(ctx, tx, t, tab, []pending{p}) })
			if reason, refused := refusal(err); refused {
				err = r.inBatch(ctx, tab.name, func(_ pgx.Tx, t *tally) error { t.refuse(p.id, reason); return nil })
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || tab.gone == "" {
		return err
	}
	return r.removeGone(ctx, tab, seen)
}

// write carries a batch over: what is new is inserted, what has changed at the source
// is updated unless it was changed here.
func (r *run) write(ctx context.Context, tx pgx.Tx, t *tally, tab *table, rows []pending) error {
	before, err := imported(ctx, tx, tab.name, ids(rows))
	if err != nil {
		return err
	}
	var fresh, changed []pending
	for _, p := range rows {
		switch known, ok := before[p.id]; {
		case !ok:
			fresh = append(fresh, p)
		case known.source != p.digest:
			changed = append(changed, p)
		default:
			t.count.Unchanged++
		}
	}
	if tab.replaces != "" {
		if _, err := writeRows(ctx, tx, fresh, tab.replaces); err != nil {
			return err
		}
	}
	columns := tab.key + ", " + strings.Join(tab.columns, ", ")
	made, err := writeRows(ctx, tx, fresh, `
		INSERT INTO `+tab.name+` AS t (`+columns+`)
		SELECT `+columns+` FROM jsonb_populate_recordset(NULL::`+tab.name+`, $1::jsonb)
		ON CONFLICT DO NOTHING
		RETURNING t.`+tab.key)
	if err != nil {
		return err
	}
	t.count.Created += len(made)
	for _, p := range fresh {
		if !made[p.id] {
			t.refuse(p.id, "there is one here already")
		}
	}
	set := make([]string, len(tab.columns))
	for i, c := range tab.columns {
		set[i] = c + " = n." + c
	}
	updated, err := writeRows(ctx, tx, changed, `
		UPDATE `+tab.name+` AS t SET `+strings.Join(set, ", ")+`
		FROM jsonb_populate_recordset(NULL::`+tab.name+`, $1::jsonb) AS n, mana.imported AS m
		WHERE t.`+tab.key+` = n.`+tab.key+` AND m.kind = '`+tab.name+`' AND m.id = n.`+tab.key+` AND m.written = `+tab.written("t")+`
		RETURNING t.`+tab.key)
	if err != nil {
		return err
	}
	t.count.Updated += len(updated)
	t.count.Kept += len(changed) - len(updated)
	return note(ctx, tx, tab, rows, made, updated)
}

func ids(rows []pending) []string {
	list := make([]string, len(rows))
	for i, p := range rows {
		list[i] = p.id
	}
	return list
}

// writeRows runs a statement on rows, $1, and returns the keys it returns.
func writeRows(ctx context.Context, tx pgx.Tx, rows []pending, sql string) (map[string]bool, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	list := make([]row, len(rows))
	for i, p := range rows {
		list[i] = p.row
	}
	doc, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	found, err := tx.Query(ctx, sql, string(doc))
	if err != nil {
		return nil, err
	}
	keys, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	set := make(map[string]bool, len(keys))
	for _, k := range keys {
		set[k] = true
	}
	return set, nil
}

// mark is a row of mana.imported.
type mark struct{ source, written string }

// imported are the marks of what was carried over before.
func imported(ctx context.Context, tx pgx.Tx, kind string, ids []string) (map[string]mark, error) {
	rows, err := tx.Query(ctx, `SELECT m.id, m.source, m.written FROM mana.imported AS m WHERE m.kind = $1 AND m.id = ANY ($2)`, kind, ids)
	if err != nil {
		return nil, err
	}
	marks := make(map[string]mark)
	var id string
	var m mark
	_, err = pgx.ForEachRow(rows, []any{&id, &m.source, &m.written}, func() error { marks[id] = m; return nil })
	return marks, err
}

// note keeps the marks of rows that were written.
func note(ctx context.Context, tx pgx.Tx, tab *table, rows []pending, written ...map[string]bool) error {
	var keys, digests []string
	for _, p := range rows {
		for _, set := range written {
			if set[p.id] {
				keys, digests = append(keys, p.id), append(digests, p.digest)
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO mana.imported (kind, id, source, written)
		SELECT '`+tab.name+`', t.`+tab.key+`, s.source, `+tab.written("t")+`
		FROM unnest($1::text[], $2::text[]) AS s (id, source)
		JOIN `+tab.name+` AS t ON t.`+tab.key+` = s.id
		ON CONFLICT (kind, id) DO UPDATE SET source = excluded.source, written = excluded.written`, keys, digests)
	return err
}

// removeGone ends what was carried over before and is no longer at the source, unless
// it was changed here.
func (r *run) removeGone(ctx context.Context, tab *table, seen map[string]bool) error {
	for after := ""; ; {
		var batch []string
		last := after
		err := r.inBatch(ctx, tab.name, func(tx pgx.Tx, t *tally) error {
			batch = nil
			rows, err := tx.Query(ctx, `SELECT m.id FROM mana.imported AS m WHERE m.kind = $1 AND m.id > $2 ORDER BY m.id LIMIT $3`, tab.name, after, 10*batchSize)
			if err != nil {
				return err
			}
			if batch, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
				return err
			}
			var gone []string
			for _, id := range batch {
				if last = id; !seen[id] {
					gone = append(gone, id)
				}
			}
			if len(gone) == 0 {
				return nil
			}
			tag, err := tx.Exec(ctx, fmt.Sprintf(tab.gone, tab.name)+`
				mana.imported AS m
				WHERE m.kind = '`+tab.name+`' AND m.id = t.`+tab.key+` AND t.`+tab.key+` = ANY ($1) AND m.written = `+tab.written("t"), gone)
			t.count.Removed += int(tag.RowsAffected())
			return err
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		after = last
	}
}
