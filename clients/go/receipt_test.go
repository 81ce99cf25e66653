package manaid_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	manaid "mana.how/edge/clients/go"
)

// A receipt is the edge's, of one request, and not a letter of it may be another.
func TestReceipt(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "k1")
	keys := i.URL + "/.well-known/jwks.json"
	v := manaid.NewReceiptVerifier(manaid.ReceiptConfig{Issuer: i.URL, JWKSURL: keys})
	claims := map[string]any{
		"iss": i.URL, "iat": time.Now().Unix(), "jti": "r1", "sub": "u1", "payer": "user", "cost": 0, "unit": "credits", "transactions": []string{}, "app": "chat", "replayed": true,
	}
	good := i.sign(t, "k1", "mana-receipt+jwt", claims)
	r, err := v.ReceiptOf(t.Context(), "r1", good)
	if err != nil || r.RequestID != "r1" || r.UserID != "u1" || r.Payer != "user" || r.Cost != 0 || r.App != "chat" || !r.Replayed {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, id := range []string{"", "r2"} {
		if r, err := v.ReceiptOf(t.Context(), id, good); !errors.Is(err, manaid.ErrInvalid) || r.UserID != "" {
			t.Errorf("of %q: %+v, %v", id, r, err)
		}
	}
	for at := range good {
		other := "A"
		if good[at] == 'A' {
			other = "B"
		}
		if _, err := v.Receipt(t.Context(), good[:at]+other+good[at+1:]); !errors.Is(err, manaid.ErrInvalid) {
			t.Errorf("with %s for letter %d: %v", other, at, err)
		}
	}
	// The last letter has bits that are of no byte: each letter but the one is refused.
	for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		if token := good[:len(good)-1] + string(last); token != good {
			if _, err := v.Receipt(t.Context(), token); !errors.Is(err, manaid.ErrInvalid) {
				t.Errorf("ending in %c: %v", last, err)
			}
		}
	}
	if _, err := v.Receipt(t.Context(), i.sign(t, "k1", assertionType, claims)); !errors.Is(err, manaid.ErrInvalid) {
		t.Errorf("an assertion is taken for a receipt: %v", err)
	}
	tokens := manaid.NewVerifier(manaid.VerifierConfig{Issuer: i.URL, Audience: "chat", JWKSURL: keys})
	if _, err := tokens.Token(t.Context(), good); !errors.Is(err, manaid.ErrInvalid) {
		t.Errorf("a receipt is taken for an access token: %v", err)
	}
	i.away.Store(true)
	fresh := manaid.NewReceiptVerifier(manaid.ReceiptConfig{Issuer: i.URL, JWKSURL: keys})
	if _, err := fresh.Receipt(t.Context(), good); err == nil || errors.Is(err, manaid.ErrInvalid) {
		t.Errorf("without the keys: %v", err)
	}
}

// The keys of receipts are those of the ledger, at their place below the issuer.
func TestReceiptKeysAreThoseOfTheLedger(t *testing.T) {
	t.Parallel()
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	i := newIssuer(t, "k1")
	token := i.sign(t, "k1", "mana-receipt+jwt", map[string]any{})
	for _, base := range []string{server.URL, server.URL + "/"} {
		v := manaid.NewReceiptVerifier(manaid.ReceiptConfig{Issuer: base})
		if _, err := v.Receipt(t.Context(), token); err == nil || asked != "/api/v1/credits/jwks" {
			t.Errorf("%s: %v, asked for %q", base, err, asked)
		}
	}
}
