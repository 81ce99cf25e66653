package guest

import (
	"context"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Wallet is whose credits are asked for.
type Wallet struct {
	// Device is the id in the guest's cookie, empty for one that has none yet.
	Device string
	// Network is the address as limits count it: a /64 of IPv6.
	Network string
}

// Allowance is what guests have a day.
type Allowance struct {
	Credits    creditcore.Amount // a device
	PerAddress creditcore.Amount
	Total      creditcore.Amount // all guests; zero is any number
}

// Taken is what was taken from a wallet for a request. Left is what the guest may still
// spend of the day.
type Taken struct {
	Amount, Left creditcore.Amount

	of      Allowance
	day     time.Time
	device  []byte
	address []byte
}

// Take takes credits from a wallet for a request, which must have a device. It fails
// with [*SpentError], [sealed.ErrNone] or [creditcore.ErrUnavailable].
func (s *Service) Take(ctx context.Context, w Wallet, of Allowance, amount creditcore.Amount) (Taken, error) {
	keys, err := s.openKeys(ctx)
	if err != nil {
		return Taken{}, err
	}
	t := Taken{of: of, day: s.today(), device: keys.device.Sum(w.Device), address: keys.address.Sum(w.Network)}
	err = s.TakeMore(ctx, &t, amount)
	return t, err
}

// TakeMore takes more for a request, on the day on which it began. It fails as
// [Service.Take] does.
func (s *Service) TakeMore(ctx context.Context, t *Taken, amount creditcore.Amount) error {
	type answer struct {
		Refusal     *string
		CreditsLeft creditcore.Amount
	}
	a, err := dbscope.One[answer](ctx, s.db, system(), takeSQL,
		t.day, t.address, t.device, int64(amount), int64(t.of.PerAddress), int64(t.of.Credits), nullZero(t.of.Total))
	if err != nil {
		return err
	}
	if t.Left = a.CreditsLeft; a.Refusal != nil {
		return &SpentError{Required: amount, Available: a.CreditsLeft, Limit: limitOf(*a.Refusal), Until: s.today().AddDate(0, 0, 1)}
	}
	t.Amount += amount
	return nil
}

// GiveBack gives back what a request has not spent of what was taken for it.
func (s *Service) GiveBack(ctx context.Context, t *Taken, amount creditcore.Amount) error {
	type answer struct{ CreditsLeft creditcore.Amount }
	a, err := dbscope.One[answer](ctx, s.db, system(), giveBackSQL,
		t.day, t.address, t.device, int64(amount), int64(t.of.PerAddress), int64(t.of.Credits), nullZero(t.of.Total))
	if err == nil {
		t.Amount, t.Left = t.Amount-amount, a.CreditsLeft
	}
	return err
}

// Left is what a guest may still spend today. It fails as [Service.Take] does, but never
// with [*SpentError].
func (s *Service) Left(ctx context.Context, w Wallet, of Allowance) (creditcore.Amount, error) {
	keys, err := s.openKeys(ctx)
	if err != nil {
		return 0, err
	}
	var device []byte
	if w.Device != "" {
		device = keys.device.Sum(w.Device)
	}
	type answer struct{ CreditsLeft creditcore.Amount }
	a, err := dbscope.One[answer](ctx, s.db, system(), leftSQL,
		s.today(), keys.address.Sum(w.Network), device, int64(of.PerAddress), int64(of.Credits), nullZero(of.Total))
	return a.CreditsLeft, err
}

func limitOf(kind string) Limit {
	if kind == "all" {
		return LimitAll
	}
	return Limit(kind)
}

// nullZero is an amount as PostgreSQL has it, nil where zero stands for none.
func nullZero(a creditcore.Amount) *int64 {
	if a == 0 {
		return nil
	}
	n := int64(a)
	return &n
}
