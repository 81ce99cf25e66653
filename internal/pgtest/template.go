package pgtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/migrations"
)

// templateName is the migrated database that [New] copies.
const templateName = "template_mana"

var template struct {
	sync.Once
	err error
}

// New returns a database with every migration applied, dropped at the end of t.
func New(t testing.TB) *Database {
	t.Helper()
	s := server(t)
	template.Do(func() { template.err = makeTemplate(s) })
	if template.err != nil {
		t.Fatalf("make the migrated template: %v", template.err)
	}
	return create(t, s, templateName)
}

// makeTemplate migrates as the login role, like a fresh installation.
func makeTemplate(s *localpg.Server) error {
	if err := asAdmin(s, `CREATE DATABASE `+templateName+` OWNER mana`); err != nil {
		return err
	}
	if err := migrate(onDatabase(s.DSN(), templateName)); err != nil {
		return err
	}
	return asAdmin(s, `ALTER DATABASE `+templateName+` IS_TEMPLATE true ALLOW_CONNECTIONS false`)
}

func migrate(dsn string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := migrations.Apply(ctx, conn); err != nil {
		return fmt.Errorf("apply migrations: %w", err)
	}
	return nil
}
