package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/localpg"
	"mana.how/edge/migrations"
)

func upgradeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade-postgres [--bin <directory>]",
		Short: "Moves the embedded database to a newer major version of PostgreSQL",
		Long: `Moves the embedded database that the config names to a newer major version of
PostgreSQL: that of --bin or MANA_POSTGRES_BIN, else the newest on the PATH and in
the usual folders. The edge must be stopped. All rows are copied and counted, then
the data changes places in one step; the old data stays beside it as
data.<version>, until you take it away. Run it as the user of the edge. It needs
both versions, and pg_dump and pg_restore of PostgreSQL.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(upgradeAction),
	}
	cmd.Flags().String("bin", "", "Directory of initdb and postgres of the new version")
	return cmd
}

// upgradeView is what was done, in JSON.
type upgradeView struct {
	From   int    `json:"from"`
	To     int    `json:"to"`
	Tables int    `json:"tables"`
	Rows   int64  `json:"rows"`
	Kept   string `json:"kept"`
	BinDir string `json:"binDir"`
}

func upgradeAction(inv invoke.Invocation, _ []string) error {
	p, err := placeOf(inv)
	if err != nil {
		return err
	}
	var counted map[string]int64
	done, err := localpg.Upgrade(inv.Ctx, localpg.Config{Dir: p.dir, Logger: inv.Log(), BinDir: inv.Flag("bin")}, func(ctx context.Context, from, to *localpg.Server) error {
		counted, err = p.copyAll(ctx, from, to)
		return err
	})
	switch {
	case errors.Is(err, localpg.ErrInUse):
		return fmt.Errorf("stop the edge first: %w", err)
	case err != nil:
		return err
	}
	view := upgradeView{From: done.From, To: done.To, Tables: len(counted), Kept: done.Kept, BinDir: done.BinDir}
	for rows := range maps.Values(counted) {
		view.Rows += rows
	}
	return inv.Print(view, func(w io.Writer) {
		invoke.Line(w, "PostgreSQL\t%d, was %d", view.To, view.From)
		invoke.Line(w, "copied\t%d rows of %d tables", view.Rows, view.Tables)
		invoke.Line(w, "old data\t%s", view.Kept)
		invoke.Line(w, "programs\t%s (MANA_POSTGRES_BIN, unless it is on the PATH or in a usual folder)", view.BinDir)
	})
}

// copyAll copies schema and rows, and returns how many each table has.
func (p place) copyAll(ctx context.Context, from, to *localpg.Server) (map[string]int64, error) {
	major, err := localpg.Major(p.dir)
	if err != nil {
		return nil, err
	}
	dump, err := os.CreateTemp(p.dir, ".mana-dump-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(dump.Name())
	defer dump.Close()
	save, err := toolOn(ctx, from.DatabaseDSN(), "pg_dump", major, "--format=custom")
	if err != nil {
		return nil, err
	}
	save.Stdout = dump
	if err := run(save); err != nil {
		return nil, err
	}
	if _, err := dump.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	at := services.Address{Pool: to.DSN(), Listen: to.DSN(), Embedded: true}
	if err := services.WithConn(ctx, at, func(conn *pgx.Conn) error { return migrations.PrepareRoles(ctx, conn) }); err != nil {
		return nil, err
	}
	load, err := toolOn(ctx, to.DatabaseDSN(), "pg_restore", major, "--exit-on-error", "--single-transaction")
	if err != nil {
		return nil, err
	}
	load.Path, err = sibling(save.Path, load.Path)
	if err != nil {
		return nil, err
	}
	load.Stdin = dump
	if err := run(load); err != nil {
		return nil, err
	}
	before, err := rowsOf(ctx, from.DatabaseDSN())
	if err != nil {
		return nil, err
	}
	after, err := rowsOf(ctx, to.DatabaseDSN())
	if err != nil {
		return nil, err
	}
	for _, table := range slices.Sorted(maps.Keys(before)) {
		if n, ok := after[table]; !ok || n != before[table] {
			return nil, fmt.Errorf("%s has %d rows, its copy %d", table, before[table], n)
		}
	}
	return after, nil
}

// sibling is the program beside another one: an archive is read by the version that
// wrote it, or a later one.
func sibling(of, program string) (string, error) {
	path := filepath.Join(filepath.Dir(of), filepath.Base(program))
	_, err := os.Stat(path)
	return path, err
}

// rowsOf counts the rows of every table, as the superuser, who sees all of them.
func rowsOf(ctx context.Context, dsn string) (map[string]int64, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	found, err := conn.Query(ctx, `SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_catalog.pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	counted := make(map[string]int64, len(tables))
	for _, table := range tables {
		var n int64
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM `+table).Scan(&n); err != nil {
			return nil, fmt.Errorf("count %s: %w", table, err)
		}
		counted[table] = n
	}
	return counted, nil
}
