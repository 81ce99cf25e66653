package importer_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/caddymodule/importer"
	"mana.how/edge/internal/pgtest"
)

// TestMain is an import alone where the rehearsal starts one to kill it.
func TestMain(m *testing.M) {
	if from := os.Getenv("TEST_IMPORT_FROM"); from != "" {
		os.Exit(importAlone(from, os.Getenv("TEST_IMPORT_TO")))
	}
	os.Exit(pgtest.Main(m))
}

func importAlone(from, to string) int {
	pool, err := pgxpool.New(context.Background(), to)
	if err == nil {
		_, err = importer.Import(context.Background(), importer.Options{From: from, Pool: pool})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
