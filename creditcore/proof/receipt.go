package proof

import "encoding/json"

// ReceiptType is the typ of receipts (RFC 8725, section 3.11).
const ReceiptType = "mana-receipt+jwt"

// Receipt states what a request cost. A JSON member is a claim (RFC 7519).
type Receipt struct {
	Issuer   string `json:"iss"`
	IssuedAt int64  `json:"iat"`
	// RequestID is unique; the logs of the edge know the request by it.
	RequestID string `json:"jti"`
	UserID    string `json:"sub"`
	// Payer is "user", or "org:" and the id of the organisation that paid.
	Payer string `json:"payer"`
	// Cost is what the request cost in the end, in credits, written as a JSON number with
	// up to three decimals.
	Cost json.Number `json:"cost"`
	Unit string      `json:"unit"` // always "credits"
	// Transactions are the rows of the ledger that charge it, as far as they are known
	// when the answer leaves.
	Transactions []string `json:"transactions"`
	App          string   `json:"app"`
	// Replayed is set where the request came again under its idempotency key and was
	// charged before.
	Replayed bool `json:"replayed,omitempty"`
}

// SignReceipt makes the JWS of a receipt, of now.
func (s *Service) SignReceipt(r Receipt) (string, error) {
	r.Issuer, r.IssuedAt, r.Unit = s.notary.Issuer(), s.now().Unix(), "credits"
	if r.Transactions == nil {
		r.Transactions = []string{}
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	return s.notary.SignProof(ReceiptType, payload)
}
