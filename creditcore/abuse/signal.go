package abuse

import "time"

// Kind is what a signal tells of an account.
type Kind string

// The kinds of signals.
const (
	// SpentAndRefunded are purchases whose money went back, by a refund or a dispute,
	// after their credits were spent: a part of them is owed. A dispute that was won
	// has brought its credits back, and does not count.
	SpentAndRefunded Kind = "spent_and_refunded"
	// Refunds are purchases whose money went back, from the third one on.
	Refunds Kind = "refunds"
	// GiftRing are rounds of gifts that came back to who began within 30 days, by two
	// or three gifts. Presents that friends give each other are such a round, too: of
	// the same people only the second counts, and further ones; of rounds of nothing
	// but promotional credits, which buy nobody a present, the first as well.
	GiftRing Kind = "gift_ring"
	// Collector are gifts of nothing but promotional credits from accounts that were
	// less than a week old, from the fifth giver on.
	Collector Kind = "collector"
	// SharedCard is a card that three accounts or more have bought with; a couple
	// shares one without a signal.
	SharedCard Kind = "shared_card"
)

// Kinds are all of them, those that say most first.
var Kinds = []Kind{SpentAndRefunded, Refunds, GiftRing, Collector, SharedCard}

const (
	// window is how far back the survey looks: disputes come late, and who did nothing
	// for a quarter has a clean sheet.
	window = 90 * 24 * time.Hour
	// ringWindow is how long a circle of gifts may take, from the first to the last.
	ringWindow = 30 * 24 * time.Hour
	// newAccount is how old the giver of a collected gift is at most.
	newAccount = 7 * 24 * time.Hour

	// spentPoints: two such purchases happen to who is unlucky, three are a method.
	spentPoints = 40
	// refundPoints is little: refunds are a right, and only many of them are odd.
	refundPoints = 15
	// freeRefunds are those without points.
	freeRefunds = 2
	// ringPoints are those of a round, for each who is in it.
	ringPoints = 30
	// mostRingPoints keeps those who just give each other a lot below the threshold.
	mostRingPoints = 60
	// collectorPoints are those of a giver.
	collectorPoints = 10
	// freeGivers are those without points: somebody may well be given the trial credits
	// of a few friends.
	freeGivers = 4
	// mostCollectorPoints keeps below the threshold who is liked by many newcomers.
	mostCollectorPoints = 80
	// cardPoints are those of an account with the card.
	cardPoints = 20
	// freeAccounts of one card are without points.
	freeAccounts = 2
	// mostCardPoints keeps clubs and shared flats below the threshold: a card alone
	// says nothing of what was done.
	mostCardPoints = 80

	// mostScore bounds the sum.
	mostScore = 200
	// DefaultThreshold holds gifting where nothing else is configured.
	DefaultThreshold = 100
	// MostThreshold is the highest that a score can reach.
	MostThreshold = mostScore

	// mostShown bounds what a signal names of what it rests on.
	mostShown = 10
	// mostFound bounds the accounts of a signal, the strongest first.
	mostFound = 10_000
	// pairGifts is how many gifts of one account to another are looked at, the newest:
	// more change no points.
	pairGifts = 5
	// mostPartners leaves out of circles who exchanges gifts with more accounts than
	// people know: a shop, a bot.
	mostPartners = 50
)

// Signal is something that was found of an account.
type Signal struct {
	Kind   Kind `json:"kind"`
	Points int  `json:"points"`
	// Count is of purchases, of rounds, of givers, or of accounts with the card.
	Count int `json:"count"`
	Evidence
}

// Evidence is what a signal rests on, the first ten of each.
type Evidence struct {
	Purchases []string `json:"purchases,omitempty"` // ids
	Users     []string `json:"users,omitempty"`     // the givers, or those with the card
	Circles   []Circle `json:"circles,omitempty"`
}

// Circle are accounts each of whom gave to the next, and the last to the first.
type Circle struct {
	Users  []string `json:"users"`
	Rounds int      `json:"rounds"`
}

// points are those of a count.
func (k Kind) points(count int) int {
	switch k {
	case SpentAndRefunded:
		return spentPoints * count
	case Refunds:
		return refundPoints * max(count-freeRefunds, 0)
	case GiftRing:
		return min(ringPoints*count, mostRingPoints)
	case Collector:
		return min(collectorPoints*max(count-freeGivers, 0), mostCollectorPoints)
	case SharedCard:
		return min(cardPoints*max(count-freeAccounts, 0), mostCardPoints)
	}
	return 0
}
