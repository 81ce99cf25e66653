package meter_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/edgetest"
)

// notary signs with a key that no database has.
type notary struct{ key token.Key }

func (n notary) SignProof(typ string, payload []byte) (string, error) {
	return token.SignPayload(n.key, typ, payload)
}

func (n notary) OpenProof(_ context.Context, _, statement string) ([]byte, error) {
	payload, _, err := token.VerifyPayload(token.NewKeySet([]token.Key{n.key}), statement, time.Now())
	return payload, err
}

func (n notary) ProofKeys() []byte { return token.NewKeySet([]token.Key{n.key}).JWKS(time.Now()) }

func (n notary) Issuer() string { return edgetest.GateBase }

// receipts is what signs the receipts of a purse.
type receipts struct {
	*purse
	notary notary
}

func (p *purse) receipts() receipts {
	p.t.Helper()
	key, err := token.NewKey(token.EdDSA, time.Now(), time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	return receipts{p, notary{key}}
}

// meter is that of the purse, which can sign.
func (s receipts) meter(m *meter.Meter) *meter.Meter {
	s.t.Helper()
	m = s.purse.meter(m)
	m.Bind(edgetest.StartedApp(func(context.Context) (*services.Runtime, error) {
		return &services.Runtime{Cores: services.Cores{Credits: s.Service, Proof: proof.New(proof.Deps{Pool: s.db.Pool, Notary: s.notary})}}, nil
	}))
	return m
}

// read is the receipt of a response, the zero one where there is none.
func (s receipts) read(h http.Header) (r proof.Receipt) {
	s.t.Helper()
	values := h.Values("Mana-Receipt")
	if len(values) == 0 {
		return r
	}
	payload, err := s.notary.OpenProof(s.t.Context(), proof.ReceiptType, values[0])
	if err != nil || len(values) > 1 {
		s.t.Fatalf("%q: %v", values, err)
	}
	if err := json.Unmarshal(payload, &r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// A receipt says what the bill says, and names the row of the ledger; an app cannot
// set one.
func TestMeterReceipt(t *testing.T) {
	t.Parallel()
	p := newPurse(t).receipts()
	user := p.user("ada", creditcore.Credits(100))
	forge := edgetest.Answers(200, "Mana-Receipt", "forged", "X-Cost", "2.5")
	for name, c := range map[string]struct {
		meter *meter.Meter
		cost  string
	}{
		"a fixed price":             {&meter.Meter{Credits: "5"}, "5"},
		"what the app says it cost": {&meter.Meter{Credits: "5", CostFrom: "X-Cost"}, "2.5"},
	} {
		c.meter.Receipt, c.meter.App = true, "chat"
		before := time.Now().Unix()
		x := edgetest.Send(t, p.meter(c.meter), by(user, edgetest.Ask("GET", "/ask")), forge)
		got := p.read(x.Header())
		row := edgetest.Entries(t, p.Service, user)[0]
		if got.IssuedAt < before || got.IssuedAt > time.Now().Unix() || got.RequestID == "" {
			t.Errorf("%s: %+v", name, got)
		}
		want := proof.Receipt{
			Issuer: edgetest.GateBase, IssuedAt: got.IssuedAt, RequestID: got.RequestID, UserID: user, Payer: "user", Cost: json.Number(c.cost), Unit: "credits",
			Transactions: []string{row.ID}, App: "chat",
		}
		if diff := cmp.Diff(want, got); diff != "" || x.Header().Get("Mana-Credits-Cost") != c.cost {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// Free, refused, and on a route that gives none.
	free := edgetest.Send(t, p.meter(&meter.Meter{Credits: "5", Receipt: true}), by(user, edgetest.Ask("GET", "/ask")), edgetest.Answers(502, "Mana-Receipt", "forged"))
	if got := p.read(free.Header()); got.Cost != "0" || len(got.Transactions) != 0 {
		t.Errorf("free: %+v", got)
	}
	short := edgetest.Send(t, p.meter(&meter.Meter{Credits: "500", Receipt: true}), by(user, edgetest.Ask("GET", "/ask")), forge)
	if got := short.Header().Values("Mana-Receipt"); short.Code != http.StatusPaymentRequired || got != nil {
		t.Errorf("%d with the receipt %q", short.Code, got)
	}
	plain := edgetest.Send(t, p.meter(&meter.Meter{Credits: "5"}), by(user, edgetest.Ask("GET", "/ask")), forge)
	if got := plain.Header().Values("Mana-Receipt"); got != nil {
		t.Errorf("a route without receipts: %q", got)
	}
}

// A request that comes again under its key has a receipt of nothing, which says so.
func TestMeterReceiptOfReplay(t *testing.T) {
	t.Parallel()
	p := newPurse(t).receipts()
	user := p.user("ada", creditcore.Credits(100))
	m := p.meter(&meter.Meter{Credits: "5", Receipt: true})
	send := func() proof.Receipt {
		return p.read(edgetest.Send(t, m, keyed(user, "k", "POST", "/ask", ""), edgetest.Answers(200)).Header())
	}
	first, second := send(), send()
	if first.Cost != "5" || len(first.Transactions) != 1 || first.Replayed {
		t.Errorf("the first: %+v", first)
	}
	if second.Cost != "0" || len(second.Transactions) != 0 || !second.Replayed || second.RequestID == first.RequestID {
		t.Errorf("the second: %+v", second)
	}
}

// Where the trailer tells the cost, it has the receipt too, and announces it.
func TestMeterReceiptInTrailer(t *testing.T) {
	t.Parallel()
	p := newPurse(t).receipts()
	user := p.user("ada", creditcore.Credits(100))
	m := p.meter(&meter.Meter{Credits: "5", CostFrom: "X-Cost", Receipt: true})
	x := edgetest.Send(t, m, by(user, edgetest.Ask("GET", "/ask")), grpcAnswer("", "Grpc-Status", "0", "X-Cost", "2"))
	result := x.Result()
	if result.Header.Get("Mana-Receipt") != "" {
		t.Error("the header has a receipt before the cost is known")
	}
	if got := p.read(result.Trailer); got.Cost != "2" || len(got.Transactions) != 1 {
		t.Errorf("%+v in %v", got, result.Trailer)
	}
}

// A charge of a lease names the row that it becomes.
func TestMeterReceiptBatched(t *testing.T) {
	t.Parallel()
	p := newPurse(t).receipts()
	run(t, p.Service)
	user := p.user("ada", creditcore.Credits(1000))
	m := p.meter(&meter.Meter{Credits: "1", Durability: "batched", Receipt: true})
	var named []string
	edgetest.Eventually(t, "a lease", func() bool {
		x := edgetest.Send(t, m, by(user, edgetest.Ask("GET", "/tile")), edgetest.Answers(200))
		got := p.read(x.Header())
		if got.Cost != "1" || len(got.Transactions) != 1 {
			t.Fatalf("%+v", got)
		}
		named = append(named, got.Transactions...)
		return p.ahead(user) > 0 && len(named) > 10
	})
	edgetest.Eventually(t, "all is written", func() bool {
		rows := make(map[string]bool)
		for _, e := range edgetest.Entries(t, p.Service, user) {
			rows[e.ID] = true
		}
		for _, id := range named {
			if !rows[id] {
				return false
			}
		}
		return true
	})
}

func TestReceiptWithShadow(t *testing.T) {
	t.Parallel()
	if err := (&meter.Meter{Credits: "5", Receipt: true, Shadow: true}).Validate(); err == nil || !strings.Contains(err.Error(), "receipt") {
		t.Error(err)
	}
}
