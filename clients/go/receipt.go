package manaid

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const receiptType = "mana-receipt+jwt"

// ReceiptHeader is where an answer of a metered route carries its receipt: a header,
// or a trailer where the cost is known at the end only.
const ReceiptHeader = "Mana-Receipt"

// SignedReceipt is what a request cost, as the edge has signed it.
type SignedReceipt struct {
	// RequestID is that of the request, {http.request.uuid} of the edge.
	RequestID string
	UserID    string
	// Payer is "user", or "org:" and the id of the organisation that paid.
	Payer string
	Cost  float64 // credits
	// Transactions are the ids of the rows that charge it.
	Transactions []string
	App          string
	// Replayed is set where the request came again under its idempotency key: the receipt
	// of the first one has the charge.
	Replayed bool
	At       time.Time
}

// ReceiptConfig says whose receipts are taken.
type ReceiptConfig struct {
	// Issuer is the base_url of the edge.
	Issuer string
	// JWKSURL is where the keys are, <Issuer>/api/v1/credits/jwks where empty. They are not
	// those of access tokens.
	JWKSURL string
	// Client fetches the keys, [http.DefaultClient] where nil.
	Client *http.Client
	// Now is the clock, [time.Now] where nil.
	Now func() time.Time
}

// ReceiptVerifier verifies receipts. It is safe for concurrent use.
type ReceiptVerifier struct {
	issuer string
	now    func() time.Time
	keys   *keySet
}

// NewReceiptVerifier makes a verifier. It fetches nothing yet.
func NewReceiptVerifier(cfg ReceiptConfig) *ReceiptVerifier {
	if cfg.JWKSURL == "" {
		cfg.JWKSURL = strings.TrimSuffix(cfg.Issuer, "/") + "/api/v1/credits/jwks"
	}
	if cfg.Client == nil {
		cfg.Client = http.DefaultClient
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &ReceiptVerifier{cfg.Issuer, cfg.Now, &keySet{url: cfg.JWKSURL, client: cfg.Client, now: cfg.Now}}
}

// Receipt verifies a receipt, of whichever request it is: signature, type and issuer.
// A receipt does not expire. It fails with an error that wraps [ErrInvalid], or with
// that of a key set that could not be fetched.
func (v *ReceiptVerifier) Receipt(ctx context.Context, token string) (SignedReceipt, error) {
	payload, err := v.keys.open(ctx, token, func(typ string) bool { return typ == receiptType })
	if err != nil {
		return SignedReceipt{}, err
	}
	var c struct {
		Issuer       string   `json:"iss"`
		IssuedAt     *int64   `json:"iat"`
		RequestID    string   `json:"jti"`
		UserID       string   `json:"sub"`
		Payer        string   `json:"payer"`
		Cost         *float64 `json:"cost"`
		Unit         string   `json:"unit"`
		Transactions []string `json:"transactions"`
		App          string   `json:"app"`
		Replayed     bool     `json:"replayed"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return SignedReceipt{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch {
	case c.Issuer != v.issuer:
		err = fmt.Errorf("%w: of another issuer", ErrInvalid)
	case c.RequestID == "" || c.UserID == "" || c.Payer == "" || c.Cost == nil || *c.Cost < 0 || c.Unit != "credits" || c.IssuedAt == nil:
		err = fmt.Errorf("%w: incomplete", ErrInvalid)
	case time.Unix(*c.IssuedAt, 0).After(v.now().Add(leeway)):
		err = fmt.Errorf("%w: not yet", ErrInvalid)
	}
	if err != nil {
		return SignedReceipt{}, err
	}
	return SignedReceipt{c.RequestID, c.UserID, c.Payer, *c.Cost, c.Transactions, c.App, c.Replayed, time.Unix(*c.IssuedAt, 0)}, nil
}

// ReceiptOf verifies the receipt of the request with that id. It fails as
// [ReceiptVerifier.Receipt] does, also for an empty id.
func (v *ReceiptVerifier) ReceiptOf(ctx context.Context, requestID, token string) (SignedReceipt, error) {
	r, err := v.Receipt(ctx, token)
	if err == nil && r.RequestID != requestID {
		return SignedReceipt{}, fmt.Errorf("%w: of another request", ErrInvalid)
	}
	return r, err
}
