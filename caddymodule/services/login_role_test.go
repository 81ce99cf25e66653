package services_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/pgtest"
)

func TestMightyLoginRoleIsToldOf(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for dsn, warned := range map[string]bool{db.DSN: false, db.AdminDSN(): true} {
		var out bytes.Buffer
		services.WarnOfMight(t.Context(), services.Address{Listen: dsn, QueryMode: pgx.QueryExecModeExec}, slog.New(slog.NewTextHandler(&out, nil)))
		if got := strings.Contains(out.String(), "passes row-level security"); got != warned || !warned && out.Len() > 0 {
			t.Errorf("warned %t of %t: %s", got, warned, &out)
		}
	}
}
