package billing_test

import "testing"

// pays has whoever buys pay with the card of a fingerprint from now on.
func (s *till) pays(purchaseID, fingerprint string) {
	s.t.Helper()
	s.stripe.CardOf(s.text(`SELECT stripe_customer_id FROM credits.purchases WHERE id = $1`, purchaseID), fingerprint)
}

func (s *till) wantCards(want string) {
	s.t.Helper()
	if got := s.text(`SELECT string_agg(fingerprint || ' ' || user_id, ', ' ORDER BY fingerprint, user_id) FROM credits.cards`); got != want {
		s.t.Errorf("cards %q, want %q", got, want)
	}
}

// Cards are known again, whoever pays with them: by an event, by a link, and where
// the event is lost. Bank accounts are no cards, and who has left has none.
func TestCardsOfBuyers(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	ada, bob, eve := s.user("ada"), s.user("bob"), s.user("eve")
	adaID, adaPays := s.buy(ada)
	s.pays(adaID, "shared")
	s.wantCards("")
	s.stripe.FailCard(adaPays)
	s.wantCards("")
	paid := s.stripe.Pay(adaPays)
	s.deliver(paid...)
	s.deliver(paid...)
	s.wantCards("shared ada")

	bobID, bobPays := s.link(bob)
	s.pays(bobID, "shared")
	s.deliver(s.stripe.Pay(bobPays)...)
	s.wantCards("shared ada, shared bob")

	eveID, evePays := s.buy(eve)
	s.pays(eveID, "own")
	s.stripe.Pay(evePays)
	s.stripe.Advance(reconcileAfter)
	if _, err := s.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantCards("own eve, shared ada, shared bob")

	// Seen again later, by the same row.
	before := s.text(`SELECT first_seen_at || ' ' || (last_seen_at > first_seen_at) FROM credits.cards WHERE user_id = 'eve'`)
	_, again := s.buy(eve)
	s.stripe.Advance(reconcileAfter)
	s.deliver(s.stripe.Pay(again)...)
	if after := s.text(`SELECT first_seen_at || ' ' || (last_seen_at > first_seen_at) FROM credits.cards WHERE user_id = 'eve'`); after == before {
		t.Errorf("the card was seen %s and %s", before, after)
	}

	_, bank := s.buy(s.user("carl"))
	s.deliver(s.stripe.PayAsync(bank)...)
	s.deliver(s.stripe.AsyncSucceed(bank)...)
	s.wantCards("own eve, shared ada, shared bob")

	// A refund of who has left brings no card back.
	s.exec(`DELETE FROM credits.cards WHERE user_id = 'ada'`)
	s.exec(`UPDATE auth.users SET deleted_at = now(), name = '', email_verified = false, email = 'deleted-ada@deleted.invalid' WHERE id = 'ada'`)
	s.deliver(s.stripe.Refund(adaPays, 0)...)
	s.wantCards("own eve, shared bob")
}

// Colleagues share the card of their organisation: it is nobody's own.
func TestCardsOfOrganizations(t *testing.T) {
	t.Parallel()
	s := newTill(t)
	ada := s.user("ada")
	ada.Organization = "o1"
	s.exec(`INSERT INTO auth.organizations (id, name) VALUES ('o1', 'Engines')`)
	s.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m1', 'o1', 'ada', 'owner')`)
	_, pays := s.buy(ada)
	s.deliver(s.stripe.Pay(pays)...)
	s.wantBalance("org:o1", packCredits)
	s.wantCards("")
}
