package abuse_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore/abuse"
)

// Credits that were spent before their money went back count by the purchase. Those
// that were there still do not, nor does a dispute that was won, or what an
// organisation bought.
func TestSpentAndRefunded(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	s.users("ada", "bob", "eve", "org")
	first := s.cheat("ada", 1)
	s.wants("ada", points{abuse.SpentAndRefunded: 40})
	bought := append(first, s.cheat("ada", 2)...)
	found := s.wants("ada", points{abuse.SpentAndRefunded: 120, abuse.Refunds: 15})
	slices.Sort(bought)
	slices.Sort(found.Signals[0].Purchases)
	if diff := cmp.Diff(bought, found.Signals[0].Purchases); diff != "" {
		t.Errorf("purchases (-want +got)\n%s", diff)
	}

	untouched := s.buy("bob", 0)
	s.reverse("bob", untouched)
	s.wants("bob", nil)
	disputed := s.buy("eve", 10)
	s.reverse("eve", disputed)
	s.wants("eve", points{abuse.SpentAndRefunded: 40})
	s.win("eve", disputed)
	s.wants("eve", nil)

	s.cheat("org", 1)
	s.exec(`UPDATE credits.purchases SET bought_by = 'bob' WHERE user_id = 'org'`)
	s.wants("org", nil)
	s.still("bob", nil)

	s.exec(`UPDATE credits.purchases SET updated_at = now() - interval '89 days' WHERE user_id = 'ada'`)
	s.wants("ada", points{abuse.SpentAndRefunded: 120, abuse.Refunds: 15})
	s.pass(2 * day)
	s.wants("ada", nil)
}

// Refunds are odd from the third one on.
func TestRefunds(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	s.users("ada")
	for n, want := range []points{nil, nil, {abuse.Refunds: 15}, {abuse.Refunds: 30}} {
		s.reverse("ada", s.buy("ada", 0))
		if found := s.wants("ada", want); want != nil && found.Signals[0].Count != n+1 {
			t.Errorf("%d refunds count as %d", n+1, found.Signals[0].Count)
		}
	}
}

// Rounds of gifts count from the second of the same people, within 30 days, in the
// order in which credits can go.
func TestGiftRing(t *testing.T) {
	t.Parallel()
	one, most := points{abuse.GiftRing: 30}, points{abuse.GiftRing: 60}
	type step func(*watch)
	paid := func(from string, to ...string) step { return func(s *watch) { s.give(from, to...) } }
	trial := func(from string, to ...string) step { return func(s *watch) { s.giveTrial(from, to...) } }
	// later has all that was redeemed lie back so many days.
	later := func(days int) step {
		return func(s *watch) {
			s.exec(`UPDATE gifts.gift_redemptions SET created_at = created_at - make_interval(days => $1)`, days)
		}
	}
	ab, ba, bc, ca := paid("a", "b"), paid("b", "a"), paid("b", "c"), paid("c", "a")
	for name, c := range map[string]struct {
		steps []step
		want  map[string]points
	}{
		"presents between friends":    {[]step{ab, ba}, nil},
		"one of three gives first":    {[]step{ab, bc, ca}, nil},
		"many presents, none back":    {[]step{ab, ab, ab, bc, bc}, nil},
		"a second present":            {[]step{ab, ba, ab}, nil},
		"a second round":              {[]step{ab, ba, ab, ba}, map[string]points{"a": one, "b": one}},
		"a third round":               {[]step{ab, ba, ab, ba, ab, ba}, map[string]points{"a": most, "b": most}},
		"seven rounds":                {slices.Repeat([]step{ab, ba}, 7), map[string]points{"a": most, "b": most}},
		"a second round of three":     {[]step{ab, bc, ca, ab, bc, ca}, map[string]points{"a": one, "b": one, "c": one}},
		"three, against the clock":    {[]step{ca, later(1), bc, later(1), ab, later(1), ca, later(1), bc, later(1), ab}, nil},
		"too slow":                    {[]step{ab, later(31), ba, later(59)}, nil},
		"rounds a month apart":        {[]step{ab, later(29), ba, later(31), ab, later(29), ba}, map[string]points{"a": one, "b": one}},
		"a first round of trials":     {[]step{trial("a", "b"), trial("b", "a")}, map[string]points{"a": one, "b": one}},
		"a round of three with trial": {[]step{trial("a", "b"), trial("b", "c"), trial("c", "a")}, map[string]points{"a": one, "b": one, "c": one}},
		"a trial for a present":       {[]step{ba, trial("a", "b")}, nil},
		"a gift of many portions":     {[]step{paid("a", "b", "c", "d"), paid("b", "a", "c", "d"), paid("c", "a", "b", "d")}, nil},
		"over the 90 days":            {[]step{ab, ba, ab, ba, later(91)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWatch(t)
			s.users("a", "b", "c", "d")
			for _, step := range c.steps {
				step(s)
			}
			s.score()
			for _, id := range []string{"a", "b", "c", "d"} {
				s.still(id, c.want[id])
			}
		})
	}
}

// A circle is told once, whoever of it began, with those who are in it.
func TestCirclesAreTold(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	s.users("a", "b", "c")
	for range 2 {
		s.give("b", "c")
		s.give("c", "a")
		s.give("a", "b")
	}
	found := s.wants("c", points{abuse.GiftRing: 30})
	if diff := cmp.Diff([]abuse.Circle{{Users: []string{"a", "b", "c"}, Rounds: 2}}, found.Signals[0].Circles); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Who exchanges gifts with more accounts than people know is in no circle.
func TestShopsAreInNoCircle(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	var guests []string
	for i := range 51 {
		guests = append(guests, fmt.Sprintf("guest-%02d", i))
	}
	s.users(append(guests, "shop")...)
	for range 2 {
		s.give("shop", guests[:50]...)
		for _, id := range guests[:50] {
			s.give(id, "shop")
		}
	}
	if found := s.wants("guest-00", points{abuse.GiftRing: 30}); found.Signals[0].Count != 1 {
		t.Errorf("a guest is in %+v", found.Signals)
	}
	for range 2 {
		s.give("shop", guests[50])
		s.give(guests[50], "shop")
	}
	s.wants("guest-00", nil)
	s.still("shop", nil)
}

// Promotional credits of new accounts count from the fifth giver on.
func TestCollector(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	var givers []string
	for i := range 17 {
		givers = append(givers, fmt.Sprintf("giver-%d", i))
	}
	s.users(append(givers, "eve", "ada")...)
	for i, id := range givers {
		if i != 8 {
			s.aged(id, 7*day-time.Hour)
		}
	}
	s.aged(givers[8], 7*day)
	for _, id := range givers[:4] {
		s.giveTrial(id, "eve")
		s.giveTrial(id, "eve") // one giver
	}
	s.give(givers[4], "eve")      // paid for
	s.giveTrial(givers[8], "eve") // not new
	s.wants("eve", nil)
	s.giveTrial(givers[5], "eve")
	found := s.wants("eve", points{abuse.Collector: 10})
	if diff := cmp.Diff(append(slices.Clone(givers[:4]), givers[5]), found.Signals[0].Users); diff != "" {
		t.Errorf("givers (-want +got)\n%s", diff)
	}
	s.giveTrial(givers[6], "eve")
	s.giveTrial(givers[7], "ada")
	s.wants("eve", points{abuse.Collector: 20})
	s.still("ada", nil)
	s.still(givers[0], nil)

	// Later they are new no more; when they gave they were.
	s.exec(`UPDATE gifts.gift_redemptions SET created_at = created_at - interval '80 days'`)
	s.exec(`UPDATE gifts.gift_codes SET created_at = created_at - interval '80 days'`)
	s.exec(`UPDATE auth.users SET created_at = created_at - interval '80 days'`)
	s.wants("eve", points{abuse.Collector: 20})

	// Many newcomers alone hold nobody.
	for _, id := range givers[9:] {
		s.aged(id, day)
		s.giveTrial(id, "eve")
	}
	s.wants("eve", points{abuse.Collector: 80})
}

// A card of three accounts counts for each of them, and never as much as the
// threshold.
func TestSharedCard(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	var all []string
	for i := range 12 {
		all = append(all, fmt.Sprintf("user-%02d", i))
	}
	s.users(all...)
	s.card("family", 0, all[:2]...)
	s.wants(all[0], nil)
	s.card("flat", 0, all[2:5]...)
	found := s.wants(all[2], points{abuse.SharedCard: 20})
	if diff := cmp.Diff(all[2:5], found.Signals[0].Users); diff != "" {
		t.Errorf("accounts (-want +got)\n%s", diff)
	}
	s.still(all[0], nil)
	s.card("flat", 0, all[5])
	s.wants(all[2], points{abuse.SharedCard: 40})
	s.card("club", 0, all...)
	s.wants(all[2], points{abuse.SharedCard: 80})
	s.still(all[0], points{abuse.SharedCard: 80})
	s.exec(`DELETE FROM credits.cards WHERE fingerprint = 'club'`)
	s.exec(`UPDATE credits.cards SET last_seen_at = now() - interval '91 days' WHERE user_id IN ($1, $2)`, all[4], all[5])
	s.wants(all[2], nil)
}

// What people do who do nothing wrong has no points.
func TestInnocents(t *testing.T) {
	t.Parallel()
	s := newWatch(t)
	friends := []string{"ann", "ben", "cleo"}
	family := []string{"mum", "dad"}
	guests := []string{"g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8", "g9"}
	everybody := slices.Concat(friends, family, guests, []string{"buyer", "host"})
	s.users(everybody...)
	s.give("ann", "ben")
	s.give("ben", "ann")
	s.give("ben", "cleo")
	s.card("family", 0, family...)
	s.buy("mum", 5)
	s.buy("dad", 10)
	s.reverse("buyer", s.buy("buyer", 0))
	s.give("host", guests...) // one gift of many portions
	for _, id := range guests {
		s.aged(id, day)
		s.fund(id, 100, "promotion", "trial") // who never give
		s.patiently("spend", func() error { return s.spend(id, 7) })
	}
	s.score()
	for _, id := range everybody {
		s.still(id, nil)
	}
	if n := s.text(`SELECT count(*) FROM credits.abuse_scores`); n != "0" {
		t.Errorf("%s scores", n)
	}
}
