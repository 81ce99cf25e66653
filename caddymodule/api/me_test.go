package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/appdata"
)

// apps are the back ends of two apps, one of which is away.
type apps struct {
	mu      sync.Mutex
	deleted []string
}

func (*apps) Kept(context.Context, string) []appdata.Kept {
	last := "2026-01-02T03:04:05.000Z"
	return []appdata.Kept{
		{Backend: appdata.Backend{ID: "chat"}, Entities: []appdata.Entity{{Entity: "messages", Count: 7, Label: "Messages"}}, TotalCount: 7, LastActivityAt: &last},
		{Backend: appdata.Backend{ID: "todo"}, Error: "Backend offline", Entities: []appdata.Entity{}},
	}
}

func (a *apps) Delete(_ context.Context, userID string) ([]appdata.Deleted, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deleted = append(a.deleted, userID)
	return []appdata.Deleted{{Backend: appdata.Backend{ID: "chat"}, Count: 7}, {Backend: appdata.Backend{ID: "todo"}, Err: errors.New("Backend offline")}}, nil
}

func dataSite(t *testing.T) (*site, *mailbox, *apps) {
	t.Helper()
	mails, others := new(mailbox), new(apps)
	s := newSiteOf(t, billing.Config{BaseURL: base}, func(_ *authcore.Config, d *authcore.Deps) { d.Mailer = mails },
		func(_ *api.Config, d *api.Deps) {
			find := d.Credits
			d.Credits = func(ctx context.Context) (*api.Credits, error) {
				c, err := find(ctx)
				if err == nil {
					c.Apps = others
				}
				return c, err
			}
		})
	return s, mails, others
}

func TestOwnData(t *testing.T) {
	t.Parallel()
	s, _, _ := dataSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 30)
	got := s.send("GET", "/api/v1/me/data", nil, token).status(200)
	var summary struct {
		User struct {
			ID, Email, Role string
			EmailVerified   bool
		}
		Auth struct {
			SessionsCount, AccountsCount int
			Has2FA                       bool
			LastLoginAt                  *string
		}
		Credits  struct{ Balance, TotalEarned, TransactionsCount float64 }
		Projects []struct {
			ProjectID, ProjectName, Icon, Error string
			Available                           bool
			Entities                            []struct{ Entity string }
			TotalCount                          int
			LastActivityAt                      *string
		}
		Totals struct{ TotalEntities, ProjectsWithData int }
	}
	if err := json.Unmarshal([]byte(got.body), &summary); err != nil {
		t.Fatal(err)
	}
	if summary.User.ID != id || summary.User.Email != "ada@example.test" || summary.Auth.SessionsCount == 0 || summary.Auth.AccountsCount != 1 || summary.Auth.LastLoginAt == nil ||
		summary.Credits.Balance != 30 || summary.Credits.TransactionsCount != 1 || summary.Totals.TotalEntities != 7 || summary.Totals.ProjectsWithData != 1 {
		t.Errorf("summary: %s", got.body)
	}
	if p := summary.Projects; len(p) != 2 || p[0].ProjectName != "Chat" || !p[0].Available || p[0].LastActivityAt == nil || p[1].Available || p[1].Error != "Backend offline" || p[1].Entities == nil {
		t.Errorf("projects: %s", got.body)
	}
}

// The export is whole, however much there is, and wants a recent proof.
func TestExportOfOwnData(t *testing.T) {
	t.Parallel()
	s, _, _ := dataSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 10)
	s.change(`INSERT INTO auth.security_events (user_id, event_type, metadata) SELECT $1, 'test', '{"n": 1}' FROM generate_series(1, 2500)`, id)
	for range 230 {
		s.grant(id, 1)
	}
	for range 2 {
		s.login("ada@example.test")
	}
	s.change(`UPDATE auth.sessions SET revoked_at = now() WHERE id = (SELECT id FROM auth.sessions ORDER BY created_at DESC LIMIT 1)`)
	_, fresh := s.member("bob@example.test")
	s.exec(`UPDATE auth.users SET email_verified = true WHERE id = $1`, id)
	s.send("POST", "/api/v1/auth/organizations", map[string]any{"name": "Engines"}, token).status(201)
	got := s.send("GET", "/api/v1/me/data/export", nil, token).status(200)
	if d := got.header.Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="meine-daten-20`) || !strings.HasSuffix(d, `.json"`) {
		t.Errorf("Content-Disposition %s", d)
	}
	var export struct {
		ExportedAt, ExportVersion string
		User                      struct{ Email string }
		Sessions                  struct {
			Active, History []struct{ ID, CreatedAt string }
		}
		SecurityEvents     []struct{ ID, EventType, CreatedAt string }
		CreditTransactions []struct{ ID string }
		Memberships        []struct{ OrganizationID, Name, Slug, Role, Since string }
	}
	if err := json.Unmarshal([]byte(got.body), &export); err != nil {
		t.Fatalf("%v: %.2000s", err, got.body)
	}
	if export.ExportVersion != "2.0" || export.ExportedAt == "" || export.User.Email != "ada@example.test" ||
		len(export.SecurityEvents) < 2500 || len(export.CreditTransactions) != 231 || len(export.Sessions.Active) == 0 || len(export.Sessions.History) != 1 {
		t.Errorf("export: %d events, %d transactions, %d and %d sessions", len(export.SecurityEvents), len(export.CreditTransactions), len(export.Sessions.Active), len(export.Sessions.History))
	}
	if m := export.Memberships; len(m) != 1 || m[0].OrganizationID == "" || m[0].Name != "Engines" || m[0].Slug != "engines" || m[0].Role != "owner" || m[0].Since == "" {
		t.Errorf("memberships: %+v", m)
	}
	if !strings.Contains(got.body, "\n  \"exportVersion\": \"2.0\"") || strings.Contains(got.body, "bob@") {
		t.Errorf("export: %.2000s", got.body)
	}
	empty := s.send("GET", "/api/v1/me/data/export", nil, fresh).status(200)
	if !json.Valid([]byte(empty.body)) || !strings.Contains(empty.body, `"creditTransactions": []`) {
		t.Errorf("an empty ledger: %.2000s", empty.body)
	}
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	if refused := s.send("GET", "/api/v1/me/data/export", nil, token).status(403); refused.text("code") != "REAUTHENTICATION_REQUIRED" {
		t.Errorf("without a recent proof: %s", refused.body)
	}
}

func TestErasureOfOwnData(t *testing.T) {
	t.Parallel()
	s, mails, others := dataSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 30)
	s.change(`UPDATE auth.users SET email_verified = true`)
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	s.send("DELETE", "/api/v1/me/data", nil, token).status(403)
	s.send("DELETE", "/api/v1/me/data", `{"password":"wrong"}`, token).status(401)
	if len(others.deleted) != 0 {
		t.Fatal("the apps were asked for nothing")
	}
	got := s.send("DELETE", "/api/v1/me/data", `{"password":"`+testPassword+`"}`, token).status(200)
	var result struct {
		Success             bool
		DeletedFromProjects []struct {
			ProjectID, ProjectName, Error string
			Success                       bool
			DeletedCount                  *int
		}
		DeletedFromAuth struct {
			Sessions, Accounts, Credits int
			User                        bool
		}
		TotalDeleted int
	}
	if err := json.Unmarshal([]byte(got.body), &result); err != nil {
		t.Fatal(err)
	}
	if p := result.DeletedFromProjects; !result.Success || len(p) != 2 || !p[0].Success || p[0].DeletedCount == nil || *p[0].DeletedCount != 7 || p[1].Success || p[1].Error != "Backend offline" ||
		result.DeletedFromAuth.Sessions == 0 || result.DeletedFromAuth.Accounts != 1 || result.DeletedFromAuth.Credits != 1 || !result.DeletedFromAuth.User || result.TotalDeleted < 10 {
		t.Errorf("erased: %s", got.body)
	}
	if len(others.deleted) != 1 || others.deleted[0] != id {
		t.Errorf("the apps were asked for %v", others.deleted)
	}
	if mail := mails.last(t, notice.AccountDeleted); mail.To != "ada@example.test" {
		t.Errorf("the receipt: %+v", mail)
	}
	s.send("GET", "/api/v1/me/data", nil, token).status(401)
	s.send("POST", "/api/v1/auth/login", loginAda).status(401)
}
