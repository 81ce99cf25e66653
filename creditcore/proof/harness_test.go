package proof_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// notary signs with a key of its own (RFC 7515, section 7.1).
type notary struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func newNotary(t *testing.T) notary {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return notary{public, private}
}

var encoded = base64.RawURLEncoding

func (n notary) SignProof(typ string, payload []byte) (string, error) {
	text := encoded.EncodeToString([]byte(`{"alg":"EdDSA","kid":"k","typ":"`+typ+`"}`)) + "." + encoded.EncodeToString(payload)
	return text + "." + encoded.EncodeToString(ed25519.Sign(n.private, []byte(text))), nil
}

func (n notary) OpenProof(_ context.Context, _, statement string) ([]byte, error) {
	at := strings.LastIndexByte(statement, '.')
	signature, err := encoded.DecodeString(statement[at+1:])
	if err != nil || !ed25519.Verify(n.public, []byte(statement[:at]), signature) {
		return nil, errors.New("another signature")
	}
	return encoded.DecodeString(strings.Split(statement, ".")[1])
}

func (n notary) ProofKeys() []byte {
	keys, _ := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA", "use": "sig", "x": encoded.EncodeToString(n.public)},
	}})
	return keys
}

func (n notary) Issuer() string { return "https://auth.example.com" }

// book is a ledger with what proves it.
type book struct {
	*proof.Service
	ledger *creditcore.Service
	notary notary
	t      *testing.T
	db     *pgtest.Database
}

func newBook(t *testing.T) *book {
	t.Helper()
	db := pgtest.New(t)
	n := newNotary(t)
	return &book{
		proof.New(proof.Deps{Pool: db.Pool, Notary: n}), creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool}), n, t, db,
	}
}

// user makes a user with rows: a grant of 100 credits and n charges.
func (b *book) user(id string, n int) string {
	b.t.Helper()
	if _, err := dbscope.Exec(b.t.Context(), b.db.Pool, dbscope.System(), `INSERT INTO auth.users (id, name, email) VALUES ($1, $1, $1 || '@example.com')`, id); err != nil {
		b.t.Fatal(err)
	}
	_, err := b.ledger.Grant(b.t.Context(), creditcore.Grant{UserID: id, Amount: creditcore.Credits(100), Type: creditcore.Gift, Source: creditcore.SourceAdmin})
	if err != nil {
		b.t.Fatal(err)
	}
	b.spend(id, n)
	return id
}

func (b *book) spend(id string, n int) {
	b.t.Helper()
	for range n {
		_, err := b.ledger.Debit(b.t.Context(), creditcore.Debit{
			UserID: id, Amount: 1500, AppID: "chat", Operation: "ai_chat", Description: `"Größe", \ ☕`, Metadata: []byte(`{"b": 1.50, "a": ["x", null]}`),
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// verify returns what was found.
func (b *book) verify(scope proof.Scope) ([]proof.Breach, proof.Report) {
	b.t.Helper()
	var found []proof.Breach
	report, err := b.Verify(b.t.Context(), scope, func(x proof.Breach) error {
		found = append(found, x)
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return found, report
}

// root makes the root of a day that must be made.
func (b *book) root(day time.Time) proof.Root {
	b.t.Helper()
	root, made, err := b.MakeRoot(b.t.Context(), day)
	if err != nil || !made {
		b.t.Fatalf("root of %s: made %t, %v", day, made, err)
	}
	return root
}

// rechain is how an attacker makes the hashes of an account anew.
const rechain = `DO $$
DECLARE r credits.transactions; h bytea;
BEGIN
	FOR r IN SELECT * FROM credits.transactions WHERE user_id = 'alice' ORDER BY sequence LOOP
		h := credits.chained(h, r.user_id, r.sequence, r.id, r.type, r.status, r.amount, r.balance_before, r.balance_after, r.app_id, r.operation,
			r.description, r.metadata, r.idempotency_key, r.internal_key, r.reverses, r.hold_id, r.api_key_id, r.spent_by, r.created_at, r.completed_at);
		UPDATE credits.transactions SET hash = h WHERE id = r.id;
	END LOOP;
END $$`
