package creditcore

import (
	"context"
	"encoding/json"

	"mana.how/edge/internal/dbscope"
)

// Fields of the metadata of a charge by a price.
const (
	// MetadataPrice is the name of the price.
	MetadataPrice = "price"
	// MetadataQuantity is of what it is for, as a number.
	MetadataQuantity = "quantity"
	// MetadataPriceVersion is the version of the price book that it is of; absent for a
	// price of the config.
	MetadataPriceVersion = "priceVersion"
	// MetadataPricePlan is the plan whose price it is; absent for that of everybody.
	MetadataPricePlan = "pricePlan"
)

// asPricedBefore is a charge by a price with what it cost when it was made first under its
// key, and by which version. It reports false where the key stands for another price.
// What else is not the same is for the ledger to find.
func (s *Service) asPricedBefore(ctx context.Context, d Debit) (Debit, bool) {
	made, err := dbscope.One[struct {
		Amount   Amount
		Metadata json.RawMessage
	}](ctx, s.db, dbscope.System(),
		`SELECT -t.amount AS amount, t.metadata
		 FROM credits.transactions AS t
		 WHERE CASE WHEN t.spent_by IS NULL THEN t.user_id ELSE t.spent_by END = $1 AND t.idempotency_key = $2 AND t.type = 'usage'`, d.UserID, d.Key)
	if err != nil {
		return d, false
	}
	before, asked := make(map[string]json.RawMessage), make(map[string]json.RawMessage)
	if json.Unmarshal(made.Metadata, &before) != nil || json.Unmarshal(d.Metadata, &asked) != nil || !sameText(before[MetadataPrice], d.Price) {
		return d, false
	}
	for _, field := range []string{MetadataPriceVersion, MetadataPricePlan} {
		if delete(asked, field); before[field] != nil {
			asked[field] = before[field]
		}
	}
	d.Metadata, err = json.Marshal(asked)
	d.Amount = made.Amount
	return d, err == nil
}

// asHeldBefore is a hold for a price with as much as is held under its key. It reports
// false where the key stands for another price.
func (s *Service) asHeldBefore(ctx context.Context, h Hold) (Hold, bool) {
	held, err := dbscope.One[struct {
		Amount   Amount
		Metadata json.RawMessage
	}](ctx, s.db, dbscope.System(),
		`SELECT h.amount, h.metadata
		 FROM credits.holds AS h
		 WHERE CASE WHEN h.spent_by IS NULL THEN h.user_id ELSE h.spent_by END = $1 AND h.idempotency_key = $2 AND h.state IN ('open', 'settled', 'late')`, h.UserID, h.Key)
	if err != nil {
		return h, false
	}
	before := make(map[string]json.RawMessage)
	if json.Unmarshal(held.Metadata, &before) != nil || !sameText(before[MetadataPrice], h.Price) {
		return h, false
	}
	h.Amount = held.Amount
	return h, true
}

// sameText reports whether a value of JSON is the text.
func sameText(raw json.RawMessage, text string) bool {
	var got string
	return json.Unmarshal(raw, &got) == nil && got == text
}
