package doctor_test

import (
	"strings"
	"testing"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// The doctor says whether what is called a replica is one, and how far behind.
func TestDoctorOnReplicas(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for name, tt := range map[string]struct{ url, status, want string }{
		"follows":         {pgtest.NewStandby(t, db).DSN, "ok", "follows"},
		"is written to":   {db.DSN, "warn", "is a server that is written to, not a standby"},
		"does not listen": {"postgres://mana:hidden@" + freeport.Address(t) + "/mana", "warn", "does not answer"},
	} {
		found, err := edgetest.Findings(t, edgetest.With(edgetest.ExternalApp(db), "replica", tt.url))
		if f := found["replica"]; f.Status != tt.status || !strings.Contains(f.Detail, tt.want) || strings.Contains(f.Detail, "hidden") {
			t.Errorf("%s: %+v and %v, want %s with %q", name, f, err, tt.status, tt.want)
		}
	}
}
