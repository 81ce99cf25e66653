package settle

import (
	"time"

	"mana.how/edge/creditcore"
)

// AppID is what the ledger names as the app of what was paid for.
const AppID = "stripe"

// ReversedCredits is what of the credits goes with the money: whole credits,
// rounded in the buyer's favour, and all of them with all of it. The money is
// in cents.
func ReversedCredits(credits creditcore.Amount, reversed, received int64) creditcore.Amount {
	if reversed >= received {
		return credits
	}
	return creditcore.Credits(int64(credits/creditcore.Credit) * reversed / received)
}

// followFor is how long redeemed gifts are taken back from those who have
// them, after the money for their credits came.
const followFor = 30 * 24 * time.Hour

// FollowsGifts reports whether gifts of what was paid for then are still taken
// back from those who redeemed them.
func FollowsGifts(paid, now time.Time) bool { return now.Before(paid.Add(followFor)) }

// Timestamp is a time as metadata of our own holds it: ISO 8601, UTC, with
// milliseconds.
func Timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
