package billing_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/creditcore/billing/subscription"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/stripetest"
)

// team is alice's organisation of so many members, where Plus is sold by the seat.
func (p *newsstand) team(members int) creditcore.Caller {
	p.t.Helper()
	p.exec(`UPDATE subscriptions.plans SET per_seat = true WHERE name = 'Plus'`)
	p.exec(`INSERT INTO auth.organizations (id, name) VALUES ('o1', 'Engines')`)
	p.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m1', 'o1', 'alice', 'owner')`)
	for n := 2; n <= members; n++ {
		p.joins(n)
	}
	team := p.alice
	team.Organization = "o1"
	return team
}

func (p *newsstand) joins(n int) {
	p.t.Helper()
	p.exec(`INSERT INTO auth.users (id, name, email) VALUES ($1, $1, $1 || '@example.com')`, fmt.Sprintf("u%d", n))
	p.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m' || $1, 'o1', $1, 'member')`, fmt.Sprintf("u%d", n))
}

// teamPays subscribes the organisation and has Stripe's page paid.
func (p *newsstand) teamPays(team creditcore.Caller, o subscription.Order) string {
	p.t.Helper()
	opened, err := p.Subscribe(p.t.Context(), team, o)
	if err != nil {
		p.t.Fatal(err)
	}
	events := p.stripe.Pay(opened.SessionID)
	p.deliver(events...)
	return events.Object("subscription")
}

func (p *newsstand) wantTeam(what string, credits string, seats int) {
	p.t.Helper()
	b, err := p.ledger.BalanceOf(p.t.Context(), creditcore.OrganizationAccount("o1"))
	if err != nil || b.Available.String() != credits {
		p.t.Errorf("%s: balance %s, %v, want %s", what, b.Available, err, credits)
	}
	err = dbscope.InTx(p.t.Context(), p.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		got, err := p.SeatsTx(p.t.Context(), tx, "o1")
		if got != seats {
			p.t.Errorf("%s: %d seats, want %d", what, got, seats)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// setSeats changes the seats and delivers what that causes.
func (p *newsstand) setSeats(team creditcore.Caller, seats int) error {
	p.t.Helper()
	before := len(p.stripe.Events())
	err := p.SetSeats(p.t.Context(), team, seats)
	p.deliver(p.stripe.Events()[before:]...)
	return err
}

// An organisation pays for its members, is granted the credits of each, and changes how
// many they are.
func TestSeats(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	team := p.team(3)
	p.wantTeam("without a plan", "0", 0)
	sub := p.teamPays(team, p.order("Plus", catalog.Monthly))
	p.wantTeam("subscribed", "300", 3)
	if got := stripetest.Object[stripe.Subscription](srv, sub).Items.Data[0].Quantity; got != 3 {
		t.Errorf("Stripe bills %d", got)
	}
	p.halfOf(team)
	if err := p.setSeats(team, 5); err != nil {
		t.Fatal(err)
	}
	p.wantTeam("two more in the middle", "400", 5) // 150 of three, 250 of five
	p.joins(4)
	var taken *subscription.SeatsTakenError
	if err := p.setSeats(team, 3); !errors.As(err, &taken) || taken.Members != 4 {
		t.Errorf("fewer than members: %v", err)
	}
	p.wantTeam("refused", "400", 5)
	if err := p.setSeats(team, 4); err != nil {
		t.Fatal(err)
	}
	p.wantTeam("one less", "350", 4)
	p.deliver(srv.RenewSubscription(sub)...)
	p.wantTeam("renewed", "750", 4)
	p.deliver(srv.EndSubscription(sub)...)
	p.wantTeam("ended", "750", 0)
	p.audited()
}

// Months of a team roll over for each of its seats.
func TestSeatsRollOver(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	p.rolls("Plus", 20)
	sub := p.teamPays(p.team(3), p.order("Plus", catalog.Monthly))
	p.deliver(srv.RenewSubscription(sub)...)
	p.exec(`UPDATE credits.lots SET expires_at = now() WHERE rolls_to IS NOT NULL`)
	p.exec(`UPDATE credits.balances SET next_expiry = now()`)
	p.wantTeam("renewed", "360", 3)
	p.audited()
}

// A checkout is for as many seats as it says, and never for fewer than members.
func TestSeatsOfACheckout(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	team := p.team(3)
	for name, tt := range map[string]struct {
		who   creditcore.Caller
		plan  string
		seats int
		want  error
	}{
		"fewer than members": {team, "Plus", 2, &subscription.SeatsTakenError{Members: 3}},
		"too many":           {team, "Plus", 101, subscription.ErrNotPerSeat},
		"of another plan":    {team, "Pro", 3, subscription.ErrNotPerSeat},
		"of a user":          {p.alice, "Plus", 2, subscription.ErrNotPerSeat},
		"fewer than none":    {team, "Plus", -1, &subscription.SeatsTakenError{Members: 3}},
	} {
		o := p.order(tt.plan, catalog.Monthly)
		o.Seats = tt.seats
		if _, err := p.Subscribe(t.Context(), tt.who, o); err == nil || err.Error() != tt.want.Error() {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	o := p.order("Plus", catalog.Monthly)
	first, err := p.Subscribe(t.Context(), team, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Seats = 3
	if same, err := p.Subscribe(t.Context(), team, o); err != nil || same != first {
		t.Errorf("the same again: %+v, %v", same, err)
	}
	o.Seats = 7
	other, err := p.Subscribe(t.Context(), team, o)
	if err != nil || other == first {
		t.Fatalf("another number of seats: %+v, %v", other, err)
	}
	p.deliver(srv.Pay(other.SessionID)...)
	p.wantTeam("seven seats", "700", 7)
	one := p.order("Plus", catalog.Monthly)
	one.Seats = 1
	mine, err := p.Subscribe(t.Context(), p.alice, one)
	if err != nil {
		t.Fatal(err)
	}
	p.deliver(srv.Pay(mine.SessionID)...)
	p.wantBalance("alone", "100")
	for name, err := range map[string]error{
		"of a user": p.SetSeats(t.Context(), p.alice, 2), "none": p.SetSeats(t.Context(), team, 0), "too many": p.SetSeats(t.Context(), team, 101),
	} {
		if !errors.Is(err, subscription.ErrNotPerSeat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.audited()
}

// A card that is declined, or a Stripe that is away, leaves the seats as they were.
func TestSeatsThatAreNotPaid(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	team := p.team(2)
	sub := p.teamPays(team, p.order("Plus", catalog.Monthly))
	srv.Decline(read[struct{ ID string }](p, `SELECT stripe_customer_id AS id FROM credits.stripe_customers WHERE user_id = 'org:o1'`)[0].ID, true)
	var refused *stripeapi.PaymentError
	if err := p.setSeats(team, 9); !errors.As(err, &refused) {
		t.Errorf("a card that is declined: %v", err)
	}
	p.wantTeam("declined", "200", 2)
	for name, fails := range map[string]func(){
		"refused": func() { srv.FailNext("POST", "/v1/subscriptions/", 503, 9) }, "not answered": func() { srv.FailNext("", "/v1/subscriptions/", 500, 9) },
	} {
		fails()
		if err := p.SetSeats(t.Context(), team, 9); err == nil {
			t.Errorf("%s: nine seats", name)
		}
		p.wantTeam(name, "200", 2)
		srv.FailNext("", "/v1/subscriptions/", 500, 0)
	}
	if got := stripetest.Object[stripe.Subscription](srv, sub).Items.Data[0].Quantity; got != 2 {
		t.Errorf("Stripe bills %d", got)
	}
	p.audited()
}

// Who joins while seats go finds one or none: never more members than seats.
func TestSeatsGoWhileOthersJoin(t *testing.T) {
	t.Parallel()
	srv := priced(t)
	p := newNewsstand(t, srv)
	team := p.team(2)
	o := p.order("Plus", catalog.Monthly)
	o.Seats = 4
	p.teamPays(team, o)
	p.exec(`INSERT INTO auth.users (id, name, email) SELECT 'j' || n, 'J', 'j' || n || '@example.com' FROM generate_series(1, 8) AS n`)
	var all sync.WaitGroup
	var shrunk error
	all.Go(func() { shrunk = p.SetSeats(t.Context(), team, 2) })
	for n := range 8 {
		all.Go(func() {
			err := dbscope.InTx(t.Context(), p.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), `SELECT FROM auth.organizations WHERE id = 'o1' FOR NO KEY UPDATE`); err != nil {
					return err
				}
				seats, err := p.SeatsTx(t.Context(), tx, "o1")
				if err != nil {
					return err
				}
				_, err = tx.Exec(t.Context(), `INSERT INTO auth.members (id, organization_id, user_id, role)
					SELECT 'j' || $1, 'o1', 'j' || $1, 'member' WHERE (SELECT count(*) FROM auth.members WHERE organization_id = 'o1') < $2`, fmt.Sprint(n+1), seats)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	members, err := p.Members(t.Context(), "o1")
	if err != nil {
		t.Fatal(err)
	}
	now, err := p.Current(t.Context(), team)
	if err != nil {
		t.Fatal(err)
	}
	if members > now.Subscription.Seats || (shrunk == nil) != (now.Subscription.Seats == 2) {
		t.Errorf("%d members, %d seats, %v", members, now.Subscription.Seats, shrunk)
	}
}
