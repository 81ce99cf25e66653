package meter

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"mana.how/edge/creditcore"
)

// extensible is a charge that can reserve more.
type extensible interface {
	// extend reserves that much more. It reports false where there is nothing to reserve
	// for: the request was charged under its key before. It fails as
	// [creditcore.Service.Extend] does.
	extend(ctx context.Context, amount creditcore.Amount) (open bool, err error)
}

// extension keeps what is reserved for a stream ahead of what it costs. Its methods are
// called by one goroutine.
type extension struct {
	v        *meteredRequest
	reserved creditcore.Amount // by the ledger
	granted  creditcore.Amount // that the stream may cost: more, while the ledger cannot be asked
	asked    chan verdict      // of what is asked for ahead, nil while nothing is
	short    bool              // nothing is asked for ahead any more
}

// verdict is what the ledger said of an extension.
type verdict struct {
	amount creditcore.Amount
	open   bool
	err    error
}

// extend is the extension of a request for which not all is reserved that it may cost.
func (v *meteredRequest) extend() *extension {
	if v.hold == v.price {
		return nil
	}
	x := &extension{v: v, reserved: v.hold, granted: v.hold}
	if _, ok := v.charge.(extensible); !ok {
		x.settled()
	}
	return x
}

// cover sees to it that a stream may cost that much by now. It fails with
// [*creditcore.InsufficientError], or another verdict of the ledger's, where it may not:
// then it ends. While the ledger cannot be asked, it goes on.
func (x *extension) cover(cost creditcore.Amount) error {
	cost = min(cost, x.v.price)
	if x.collect(false); x.granted-cost > x.v.hold/2 {
		return nil
	}
	if cost <= x.granted {
		x.askAhead()
		return nil
	}
	if x.collect(true); cost <= x.granted {
		return nil
	}
	missing := cost - x.granted
	want := min((missing+x.v.hold-1)/x.v.hold*x.v.hold, x.v.price-x.granted)
	err := x.take(x.ask(want))
	var short *creditcore.InsufficientError
	if errors.As(err, &short) && short.Available >= missing {
		err = x.take(x.ask(short.Available))
	}
	return err
}

// askAhead asks for the next step while the stream goes on.
func (x *extension) askAhead() {
	step := min(x.v.hold, x.v.price-x.granted)
	if x.asked != nil || x.short || step == 0 {
		return
	}
	x.asked = make(chan verdict, 1)
	go func() { x.asked <- x.ask(step) }()
}

// collect takes down what the ledger has said of what was asked for ahead. It waits for
// it if told to.
func (x *extension) collect(wait bool) {
	if x.asked == nil {
		return
	}
	var a verdict
	if wait {
		a = <-x.asked
	} else {
		select {
		case a = <-x.asked:
		default:
			return
		}
	}
	x.asked = nil
	x.short = x.take(a) != nil
}

func (x *extension) ask(amount creditcore.Amount) verdict {
	ctx, stop := x.v.detached()
	defer stop()
	open, err := x.v.charge.(extensible).extend(ctx, amount)
	return verdict{amount, open, err}
}

// take takes down a verdict. It fails with a refusal.
func (x *extension) take(a verdict) error {
	switch {
	case a.err == nil && a.open:
		x.reserved += a.amount
		x.granted = max(x.granted, x.reserved)
	case a.err == nil:
		x.settled()
	case refuses(a.err):
		return a.err
	default:
		x.v.Log.Warn("the ledger cannot be asked: a stream goes on beyond what is reserved for it",
			zap.Error(a.err), zap.String("user", x.v.userID), zap.Stringer("credits", a.amount))
		x.granted += a.amount
	}
	return nil
}

// settled notes that there is nothing to reserve for.
func (x *extension) settled() { x.reserved, x.granted = x.v.price, x.v.price }

// refuses reports whether the ledger has decided that the account does not pay more.
func refuses(err error) bool {
	var short *creditcore.InsufficientError
	return errors.As(err, &short) || errors.Is(err, creditcore.ErrNotMember)
}

// finish reserves what a request cost beyond what is reserved for it, as far as there
// is anything, and returns how much is reserved then.
func (x *extension) finish(cost creditcore.Amount) creditcore.Amount {
	x.collect(true)
	if missing := cost - x.reserved; missing > 0 {
		_ = x.take(x.ask(missing))
	}
	return x.reserved
}
