package services_test

import (
	"net/http"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// History and usage come from the standby, which may be behind; what is charged
// and the balance never do. Without a standby that answers, the database says.
func TestReplicaAnswersForHistory(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	standby := pgtest.NewStandby(t, db)
	for _, way := range []struct{ name, url string }{
		{"directly", standby.DSN},
		{"through PgBouncer", edgetest.ThroughPgBouncer(t, &pgtest.Database{DSN: standby.DSN})},
	} {
		t.Run(way.name, func(t *testing.T) {
			standby.Replay(t, true)
			app := edgetest.With(edgetest.ExternalApp(db), "replica", way.url)
			if err := edgetest.Load(t, edgetest.Whole(t, freeport.Address(t), app)); err != nil {
				t.Fatal(err)
			}
			rt := edgetest.LiveRuntime(t)
			who := creditcore.Caller{UserID: edgetest.SignUp(t, way.name[:3]+"@example.com").UserID, Role: "user"}
			edgetest.GrantTo(t, rt.Credits, who.UserID, 10*creditcore.Credit)
			history := func() int {
				entries, err := rt.Credits.History(t.Context(), who, 10, 0)
				if err != nil {
					t.Fatal(err)
				}
				return len(entries)
			}
			edgetest.Eventually(t, "the standby has the first entry", func() bool { return history() == 1 })

			standby.Replay(t, false)
			edgetest.GrantTo(t, rt.Credits, who.UserID, 10*creditcore.Credit)
			if n := history(); n != 1 {
				t.Errorf("%d entries: not those of the standby, which is behind", n)
			}
			if lines, err := rt.Credits.Usage(t.Context(), who, time.Now(), time.Now(), creditcore.ByApp); err != nil || len(lines) != 0 {
				t.Errorf("usage: %v, %v", lines, err)
			}
			edgetest.WantAvailable(t, rt.Credits, who.UserID, 20*creditcore.Credit)
		})
	}

	rt := edgetest.LiveRuntime(t)
	who := creditcore.Caller{UserID: edgetest.SignUp(t, "late@example.com").UserID, Role: "user"}
	standby.Stop()
	edgetest.GrantTo(t, rt.Credits, who.UserID, 10*creditcore.Credit)
	if entries, err := rt.Credits.History(t.Context(), who, 10, 0); err != nil || len(entries) != 1 {
		t.Errorf("without the standby: %d entries, %v", len(entries), err)
	}
}

// A replica that was never there stops nobody.
func TestReplicaThatIsNotThere(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address := pgtest.New(t), freeport.Address(t)
	app := edgetest.With(edgetest.ExternalApp(db), "replica", "postgres://mana:pw@"+freeport.Address(t)+"/mana")
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	rt := edgetest.LiveRuntime(t)
	if entries, err := rt.Credits.History(t.Context(), creditcore.Caller{UserID: edgetest.SignUp(t, "ada@example.com").UserID, Role: "user"}, 10, 0); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if resp := edgetest.Fetch(t, http.MethodGet, "http://"+address+"/health/ready", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("ready: %d", resp.StatusCode)
	}
}
