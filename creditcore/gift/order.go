package gift

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/fingerprint"
	"mana.how/edge/internal/usertext"
)

// Bounds of an order. Lengths are in characters.
const (
	maxCredits  = 10_000 * creditcore.Credit
	maxPortions = 100
	maxEmail    = 254
	maxName     = 255 // of a Matrix id, an app, an idempotency key
	maxQuestion = 200
	maxAnswer   = 100
	maxMessage  = 500
)

// Order asks for a gift. An empty text means none.
type Order struct {
	// Credits is 1 to 10 000 credits. Each of the portions gets as many whole
	// credits as there are for it; what is over stays with the creator.
	Credits  creditcore.Amount
	Type     Type // Simple where empty
	Portions int  // 1 to 100; zero means 1
	// TargetEmail and TargetMatrixID, if any, name the one who may redeem it.
	TargetEmail    string
	TargetMatrixID string
	// RiddleQuestion and RiddleAnswer come together or not at all.
	RiddleQuestion string
	RiddleAnswer   string
	Message        string
	ExpiresAt      *time.Time // nil: after [Config.Life]
	SourceApp      string     // "gift" where empty
	Key            string     // the client's idempotency key
}

// check fills in what is not said and refuses what no gift can ever be made of.
func (o *Order) check() error {
	if o.Type == "" {
		o.Type = Simple
	}
	if o.Portions == 0 {
		o.Portions = 1
	}
	o.TargetEmail = strings.TrimSpace(o.TargetEmail)
	var question, message error
	o.RiddleQuestion, question = usertext.Line(o.RiddleQuestion, maxQuestion)
	o.Message, message = usertext.Message(o.Message, maxMessage)
	switch {
	case question != nil:
		return fmt.Errorf("%w: riddleQuestion %w", ErrInvalid, question)
	case message != nil:
		return fmt.Errorf("%w: message %w", ErrInvalid, message)
	}
	o.RiddleAnswer = folded(o.RiddleAnswer)
	if err := o.checkBounds(); err != nil {
		return err
	}
	switch {
	case (o.RiddleQuestion == "") != (o.RiddleAnswer == ""), o.Type == Riddle && o.RiddleAnswer == "":
		return ErrRiddle
	case o.perPortion() < creditcore.Credit:
		return ErrPortion
	}
	return nil
}

func (o *Order) checkBounds() error {
	fault := func(field string) error { return fmt.Errorf("%w: %s", ErrInvalid, field) }
	switch {
	case o.Credits < creditcore.Credit || o.Credits > maxCredits:
		return fault("credits")
	case o.Portions < 1 || o.Portions > maxPortions:
		return fault("portions")
	case !o.Type.known():
		return fault("type")
	}
	for _, text := range []struct {
		field, value string
		max          int
	}{
		{"targetEmail", o.TargetEmail, maxEmail}, {"targetMatrixId", o.TargetMatrixID, maxName},
		{"riddleQuestion", o.RiddleQuestion, maxQuestion}, {"riddleAnswer", o.RiddleAnswer, 2 * maxAnswer},
		{"message", o.Message, maxMessage}, {"sourceAppId", o.SourceApp, maxName}, {"idempotencyKey", o.Key, maxName},
	} {
		if !storable(text.value, text.max) {
			return fault(text.field)
		}
	}
	return nil
}

// storable reports whether PostgreSQL takes the text, and it is not too long.
// Folding may make a text longer, so that bounds of those are wider.
func storable(text string, limit int) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 && utf8.RuneCountInString(text) <= limit
}

func (t Type) known() bool {
	for _, known := range Types {
		if t == known {
			return true
		}
	}
	return false
}

// perPortion is whole credits.
func (o *Order) perPortion() creditcore.Amount {
	return o.Credits / creditcore.Amount(o.Portions) / creditcore.Credit * creditcore.Credit
}

func (o *Order) total() creditcore.Amount { return o.perPortion() * creditcore.Amount(o.Portions) }

// fingerprint marks the order, so that another one under the same key is told
// apart. It leaves out the answer, which a fast hash would betray.
func (o *Order) fingerprint() []byte {
	expires := ""
	if o.ExpiresAt != nil {
		expires = o.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
	return fingerprint.Of("create", o.Credits.String(), string(o.Type), fmt.Sprint(o.Portions), o.TargetEmail, o.TargetMatrixID,
		o.RiddleQuestion, o.Message, expires, o.SourceApp)
}

// appOf is what the ledger names as the app.
func appOf(source string) string {
	if source == "" {
		return "gift"
	}
	return source
}
