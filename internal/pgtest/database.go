package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/localpg"
)

// Database is one test's own database.
type Database struct {
	Name string
	// DSN and Pool connect as the login role "mana", the database's owner.
	DSN  string
	Pool *pgxpool.Pool

	server *localpg.Server
}

var sequence atomic.Int64

// Empty returns a database with nothing in it, dropped at the end of t.
func Empty(t testing.TB) *Database {
	t.Helper()
	return create(t, server(t), "template1")
}

// Server is the server all databases of this test binary live on.
func (d *Database) Server() *localpg.Server { return d.server }

// AdminDSN connects to the database as the superuser.
func (d *Database) AdminDSN() string { return onDatabase(d.server.AdminDSN(), d.Name) }

// Tamper runs a statement as nobody can in production: as the superuser, past
// triggers and row security. It fails where it changes nothing.
func (d *Database) Tamper(t testing.TB, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `SET session_replication_role = replica`); err != nil {
		t.Fatal(err)
	}
	tag, err := conn.Exec(t.Context(), sql, args...)
	if err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
	}
}

func create(t testing.TB, s *localpg.Server, template string) *Database {
	t.Helper()
	name := fmt.Sprintf("test_%d", sequence.Add(1))
	if err := asAdmin(s, `CREATE DATABASE `+name+` TEMPLATE `+template+` OWNER mana`); err != nil {
		t.Fatalf("create database: %v", err)
	}
	t.Cleanup(func() {
		if err := asAdmin(s, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	d := &Database{Name: name, DSN: onDatabase(s.DSN(), name), server: s}
	config, err := pgxpool.ParseConfig(d.DSN)
	if err != nil {
		t.Fatalf("parse DSN: %v", err)
	}
	config.MaxConns = 16
	if d.Pool, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
		t.Fatalf("open pool: %v", err)
	}
	t.Cleanup(func() { closePool(t, d.Pool) })
	return d
}

// closePool reports a test that kept a connection, instead of waiting for ever.
func closePool(t testing.TB, pool *pgxpool.Pool) {
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Errorf("the test ended with %d connections of its pool in use", pool.Stat().AcquiredConns())
	}
}

// asAdmin runs statements as the superuser, each on its own.
func asAdmin(s *localpg.Server, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.AdminDSN())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// onDatabase points a DSN of a localpg server at another of its databases.
func onDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic("pgtest: " + err.Error())
	}
	u.Path = "/" + name
	return u.String()
}
