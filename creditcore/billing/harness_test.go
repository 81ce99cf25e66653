package billing_test

import (
	"context"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/internal/stripetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// packageID is 1000 credits for 9.99 euro.
const packageID = "6f1a3c52-1d3e-4f0a-9b1e-000000000001"

const (
	packCents   = 999
	packCredits = 1000
)

// till is a billing service with a database, a ledger and a Stripe of its own.
type till struct {
	*billing.Service
	t      *testing.T
	db     *pgtest.Database
	ledger *creditcore.Service
	stripe *stripetest.Server

	mu   sync.Mutex
	seen map[string]int // what the observer was told
}

// newTill opens a till with one package. At the end of the test its ledger is
// audited.
func newTill(t *testing.T, change ...func(*billing.Config)) *till {
	t.Helper()
	s := &till{t: t, db: pgtest.New(t), stripe: stripetest.New(t), seen: map[string]int{}}
	s.ledger = creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: s.db.Pool})
	config := billing.Config{
		SecretKey: s.stripe.Key, APIURL: s.stripe.URL, WebhookSecrets: []string{s.stripe.WebhookSecret},
		BaseURL:   "https://auth.mana.how",
		ReturnURL: func(raw string) bool { return strings.HasPrefix(raw, "https://chat.mana.how/") },
	}
	for _, f := range change {
		f(&config)
	}
	s.Service = billing.New(config, billing.Deps{
		Pool: s.db.Pool, Ledger: s.ledger, Now: s.stripe.Now,
		Observer: billing.Observer{
			Webhook:  func(eventType, outcome string) { s.saw("webhook " + eventType + " " + outcome) },
			Drift:    func(kind string, n int) { s.set("drift "+kind, n) },
			Purchase: func(outcome string) { s.saw("purchase " + outcome) },
		},
	})
	s.exec(`INSERT INTO credits.packages (id, name, credits, price_euro_cents) VALUES ($1, 'Large', $2, $3)`,
		packageID, packCredits*1000, packCents)
	t.Cleanup(s.sound)
	return s
}

func (s *till) saw(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[what]++
}

func (s *till) set(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[what] = n
}

// told is how often the observer heard of something.
func (s *till) told(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)[what]
}

// sound audits the ledger.
func (s *till) sound() {
	if s.t.Failed() {
		return
	}
	report, err := s.ledger.Audit(context.Background()) // the test's own is over
	if err != nil || len(report.Breaches) > 0 {
		s.t.Errorf("the ledger: %+v, %v", report.Breaches, err)
	}
	_, err = proof.New(proof.Deps{Pool: s.db.Pool, Notary: paper{}}).Verify(context.Background(), proof.Scope{}, func(b proof.Breach) error {
		s.t.Errorf("the chain: %+v", b)
		return nil
	})
	if err != nil {
		s.t.Error(err)
	}
}

// paper signs roots with what they say.
type paper struct{}

func (paper) SignProof(_ string, payload []byte) (string, error) { return string(payload), nil }
func (paper) OpenProof(_ context.Context, _, statement string) ([]byte, error) {
	return []byte(statement), nil
}
func (paper) ProofKeys() []byte { return nil }
func (paper) Issuer() string    { return "https://auth.mana.how" }

func (s *till) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := dbscope.Exec(s.t.Context(), s.db.Pool, dbscope.System(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

// count is the one number that a query gives.
func (s *till) count(sql string, args ...any) int64 {
	s.t.Helper()
	r, err := dbscope.Row[struct{ N int64 }](s.t.Context(), s.db.Pool, dbscope.System(), `SELECT (`+sql+`)::bigint AS n`, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.N
}

func (s *till) text(sql string, args ...any) string {
	s.t.Helper()
	r, err := dbscope.Row[struct{ Text string }](s.t.Context(), s.db.Pool, dbscope.System(), `SELECT coalesce((`+sql+`)::text, '') AS text`, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Text
}

// user makes a user.
func (s *till) user(id string) creditcore.Caller {
	s.t.Helper()
	s.exec(`INSERT INTO auth.users (id, name, email) VALUES ($1, $1, $1 || '@example.com')`, id)
	return creditcore.Caller{UserID: id, Email: "old-" + id + "@example.com", Role: "user"}
}

// balance is what a user has to spend.
func (s *till) balance(id string) creditcore.Amount {
	s.t.Helper()
	b, err := s.ledger.BalanceOf(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return b.Available
}

func (s *till) wantBalance(id string, credits int64) {
	s.t.Helper()
	if got := s.balance(id); got != creditcore.Credits(credits) {
		s.t.Errorf("%s has %s credits, want %d", id, got, credits)
	}
}

// buy begins a purchase and returns its id and that of its payment.
func (s *till) buy(c creditcore.Caller) (purchaseID, intentID string) {
	s.t.Helper()
	begun, err := s.Buy(s.t.Context(), c, purchase.Order{PackageID: packageID})
	if err != nil {
		s.t.Fatal(err)
	}
	return begun.PurchaseID, s.text(`SELECT stripe_payment_intent_id FROM credits.purchases WHERE id = $1`, begun.PurchaseID)
}

// link begins a purchase by link and returns its id and that of its session.
func (s *till) link(c creditcore.Caller) (purchaseID, sessionID string) {
	s.t.Helper()
	made, err := s.PaymentLink(s.t.Context(), c, purchase.LinkOrder{PackageID: packageID})
	if err != nil {
		s.t.Fatal(err)
	}
	return made.PurchaseID, s.text(`SELECT stripe_session_id FROM credits.purchases WHERE id = $1`, made.PurchaseID)
}

// hook is the webhook.
func (s *till) hook(payload []byte, signature string) error {
	return s.Webhook(s.t.Context(), payload, signature)
}

// deliver delivers events, all of which must be taken.
func (s *till) deliver(events ...stripetest.Event) {
	s.t.Helper()
	for _, e := range events {
		if err := s.stripe.Deliver(s.hook, e); err != nil {
			s.t.Errorf("%s: %v", e.Type, err)
		}
	}
}

func (s *till) status(purchaseID string) purchase.Status {
	s.t.Helper()
	return purchase.Status(s.text(`SELECT status FROM credits.purchases WHERE id = $1`, purchaseID))
}

func (s *till) wantStatus(purchaseID string, want purchase.Status) {
	s.t.Helper()
	if got := s.status(purchaseID); got != want {
		s.t.Errorf("purchase is %s, want %s", got, want)
	}
}
