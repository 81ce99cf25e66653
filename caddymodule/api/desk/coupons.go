package desk

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/internal/keyset"
)

// couponOrder is the form that makes a coupon, as it was sent. Days are of UTC, and
// the last one counts.
type couponOrder struct {
	Name, Code, Amount            string
	Starts, Until, CreditsDays    string
	Redemptions                   string
	DomainLimit, Domains, NewDays string
}

// mostCouponDays bounds what is written in days: a hundred years.
const mostCouponDays = 36_500

// terms are what the form orders, or a [*coupon.TermError].
func (o couponOrder) terms() (coupon.Terms, error) {
	t := coupon.Terms{Name: o.Name, Domains: strings.FieldsFunc(o.Domains, betweenTypes)}
	var fault error
	refuse := func(field, text string) {
		if fault == nil {
			fault = &coupon.TermError{Field: field, Fault: text}
		}
	}
	number := func(field, text string, most int) int {
		if text = strings.TrimSpace(text); text == "" {
			return 0
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			refuse(field, "must be a whole number above 0")
		}
		return n
	}
	day := func(field, text string) (at time.Time) {
		if text = strings.TrimSpace(text); text == "" {
			return at
		}
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			refuse(field, "must be a day such as 2027-01-31")
		}
		return at
	}
	var err error
	if t.Credits, err = creditcore.ParseAmount(strings.TrimSpace(o.Amount)); err != nil {
		refuse("credits", "must be a number with up to three decimals")
	}
	t.StartsAt = day("startsAt", o.Starts)
	if end := day("endsAt", o.Until); !end.IsZero() {
		end = end.AddDate(0, 0, 1)
		t.EndsAt = &end
	}
	t.CreditsLife = time.Duration(number("creditsLife", o.CreditsDays, mostCouponDays)) * 24 * time.Hour
	t.MaxRedemptions = number("maxRedemptions", o.Redemptions, 1_000_000_000)
	t.DomainLimit = number("domainLimit", o.DomainLimit, 1_000_000_000)
	t.NewWithin = time.Duration(number("newWithin", o.NewDays, mostCouponDays)) * 24 * time.Hour
	return t, fault
}

// coupons lists coupons.
func (d Deps) coupons(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	return d.couponsWith(couponOrder{})(ctx, c, v)
}

// couponsWith is the page with what was typed into its form.
func (d Deps) couponsWith(o couponOrder) page {
	return func(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
		out := pages.Desk{Section: "coupons", Heading: "coupons", Notes: []string{"coupons"}}
		coupons, err := d.Coupons(ctx)
		if err != nil {
			return out, err
		}
		list, next, err := coupons.Page(ctx, keyset.Parse(v.Before), pageSize)
		if err != nil {
			return out, err
		}
		t := pages.DeskTable{Columns: []string{"name", "state", "credits", "redeemed", "from", "until", "creditsEnd", "domains", "domainLimit", "newDays", "created", ""}}
		for _, one := range list {
			t.Rows = append(t.Rows, couponRow(one, c.Now()))
		}
		out.Tables = []pages.DeskTable{pager(t, couponsPath, v.Before, next)}
		out.Actions = []pages.DeskAction{{Name: "createCoupon", Fields: []pages.DeskField{
			{Name: "name", Kind: "text", Value: o.Name, Required: true, Max: 100}, {Name: "code", Kind: "text", Value: o.Code, Max: 64},
			{Name: "amount", Kind: "text", Value: o.Amount, Required: true, Max: 32},
			{Name: "starts", Kind: "date", Value: o.Starts}, {Name: "until", Kind: "date", Value: o.Until},
			{Name: "creditsDays", Kind: "number", Value: o.CreditsDays}, {Name: "redemptions", Kind: "number", Value: o.Redemptions},
			{Name: "domainLimit", Kind: "number", Value: o.DomainLimit}, {Name: "domains", Kind: "textarea", Value: o.Domains, Max: 4000},
			{Name: "newDays", Kind: "number", Value: o.NewDays},
		}}}
		return out, nil
	}
}

func couponRow(c coupon.Coupon, now time.Time) []pages.DeskCell {
	state, end := badge("active", good), form(pages.DeskAction{Name: "endCoupon", Item: c.ID, Danger: true})
	switch {
	case c.Over(now):
		state = badge("over", plain)
	case now.Before(c.StartsAt):
		state = badge("waiting", plain)
	}
	if c.EndedAt != nil {
		end = pages.DeskCell{}
	}
	redeemed := strconv.Itoa(c.Redeemed)
	if c.MaxRedemptions > 0 {
		redeemed += " / " + strconv.Itoa(c.MaxRedemptions)
	}
	until := optionalTime(c.EndsAt)
	if c.EndedAt != nil {
		until = at(*c.EndedAt)
	}
	ends := optionalTime(c.CreditsExpireAt)
	if c.CreditsLife > 0 {
		ends = text(daysOf(c.CreditsLife))
	}
	return []pages.DeskCell{
		text(c.Name), state, credits(c.Credits), text(redeemed), at(c.StartsAt), until, ends, text(strings.Join(c.Domains, " ")),
		countOf(c.DomainLimit), text(daysOf(c.NewWithin)), at(c.CreatedAt), end,
	}
}

func countOf(n int) pages.DeskCell {
	if n == 0 {
		return pages.DeskCell{}
	}
	return text(strconv.Itoa(n))
}

// daysOf is a duration in days, or as Go writes it where it is not whole days; empty
// for none.
func daysOf(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d%(24*time.Hour) == 0:
		return strconv.Itoa(int(d/(24*time.Hour))) + " d"
	}
	return d.String()
}

// changeCoupon makes a coupon and shows its code once, or ends one.
func (d Deps) changeCoupon(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	coupons, err := d.Coupons(ctx)
	if err != nil {
		return outcome{}, err
	}
	switch o.Action {
	case "endCoupon":
		_, err := coupons.End(ctx, o.Item, audit.Event{Type: "coupon_ended", By: o.By}.Recorder())
		return outcome{done: "desk-coupon-ended"}, err
	case "createCoupon":
	default:
		return outcome{}, errUnknownAction
	}
	terms, err := o.Coupon.terms()
	var made string
	if err == nil {
		_, made, err = coupons.Create(ctx, o.Coupon.Code, terms, audit.Event{Type: "coupon_created", By: o.By}.Recorder())
	}
	var fault *coupon.TermError
	switch {
	case errors.As(err, &fault):
		answer, err := d.answer(ctx, c, http.StatusBadRequest, d.couponsWith(o.Coupon), visit{}, "", "FIELD_coupon_"+fault.Field)
		return outcome{answer: answer}, err
	case errors.Is(err, coupon.ErrCodeTaken):
		answer, err := d.answer(ctx, c, errCouponCode.Status, d.couponsWith(o.Coupon), visit{}, "", errCouponCode.Code)
		return outcome{answer: answer}, err
	case err != nil:
		return outcome{}, err
	}
	answer, err := d.answer(ctx, c, http.StatusOK, func(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
		view, err := d.coupons(ctx, c, v)
		view.Facts = []pages.DeskFact{fact("code", code(made))}
		view.Notes = append(view.Notes, "couponOnce")
		return view, err
	}, visit{}, "", "")
	return outcome{answer: answer}, err
}
