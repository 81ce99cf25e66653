package gift

import (
	"errors"
	"net/http"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore/gift"
)

// refusals name the texts of pages for what a redeemer may be told.
var refusals = []struct {
	refusal gift.Refusal
	code    string
}{
	{gift.Unknown, "GIFT_NOT_FOUND"}, {gift.Depleted, "GIFT_DEPLETED"}, {gift.Expired, "GIFT_EXPIRED"},
	{gift.Cancelled, "GIFT_CANCELLED"}, {gift.Refunded, "GIFT_CANCELLED"}, {gift.Own, "GIFT_OWN"},
	{gift.OtherPerson, "GIFT_OTHER_PERSON"}, {gift.Unverified, "GIFT_UNVERIFIED"}, {gift.NoAnswer, "GIFT_NO_ANSWER"},
	{gift.WrongAnswer, "GIFT_WRONG_ANSWER"}, {gift.TooManyAnswers, "GIFT_TOO_MANY_ANSWERS"},
	{gift.GuessedTooMuch, "GIFT_GUESSED_TOO_MUCH"}, {gift.AlreadyClaimed, "GIFT_CLAIMED"},
}

// refusalErrors are the answers of a page to them.
func refusalErrors() []*endpoint.Error {
	list := make([]*endpoint.Error, len(refusals))
	for i, r := range refusals {
		list[i] = &endpoint.Error{Status: http.StatusConflict, Code: r.code, Message: r.refusal.Error()}
		if r.refusal == gift.Unknown {
			list[i].Status = http.StatusNotFound
		}
	}
	return list
}

// known is the answer of a page to an error, nil where it is no refusal.
func known(c *endpoint.Call, err error) *endpoint.Error {
	var refused gift.Refusal
	if errors.As(err, &refused) {
		for i, e := range refusalErrors() {
			if refusals[i].refusal == refused {
				return e
			}
		}
	}
	return c.Known(err)
}
