package services_test

import (
	"strings"
	"testing"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

func TestThroughPgBouncer(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.Empty(t)
	app := edgetest.ExternalApp(db)
	app["database"] = map[string]any{"url": edgetest.ThroughPgBouncer(t, db), "direct": db.DSN}
	address := freeport.Address(t)
	if err := edgetest.Load(t, edgetest.Site(t, address, app)); err != nil {
		t.Fatal(err)
	}
	edgetest.WantGuarded(t, address)
	rt := edgetest.LiveRuntime(t)
	for range 20 { // different server connections, the same statements
		if err := rt.Auth.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := rt.Auth.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	found, err := edgetest.Findings(t, app)
	if err != nil || found["pooler"].Status != "ok" {
		t.Errorf("%v: %+v", err, found)
	}
	app["database"] = map[string]any{"url": edgetest.ThroughPgBouncer(t, db)}
	found, err = edgetest.Findings(t, app)
	if f := found["listen"]; err == nil || f.Status != "fail" || !strings.Contains(f.Detail, "direct") {
		t.Errorf("a pooler without direct: %+v", f)
	}
	if err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), app)); err == nil || !strings.Contains(err.Error(), "database:") || !strings.Contains(err.Error(), "as direct") {
		t.Errorf("loading a pooler without direct: %v", err)
	}
}
