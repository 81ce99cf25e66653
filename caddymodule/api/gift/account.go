package gift

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/authcore/address"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
)

// accountPath is the page of somebody's gifts.
const accountPath = "/account/gifts"

var errUnknownAction = &endpoint.Error{Status: http.StatusBadRequest, Code: "UNKNOWN_ACTION", Message: "Unknown action"}

// accountPage lists what somebody gave and received, and says what they have just
// done.
func (d Deps) accountPage(ctx context.Context, c *endpoint.Call, gifts *gift.Service, _ endpoint.None) (endpoint.Answer, error) {
	query := c.Request.URL.Query()
	if away, err := sso.SignedIn(ctx, c, c.Request.URL.RequestURI()); away != nil || err != nil {
		return away, err
	}
	out, err := d.accountAnswer(ctx, c, gifts, http.StatusOK, pages.Gifts{Key: rand.Text()})
	if err != nil {
		return nil, err
	}
	view := out.View.(pages.Gifts)
	for _, g := range view.Created {
		if g.Code == query.Get("made") {
			view.Made = &g
			break
		}
	}
	for _, g := range view.Received {
		if strings.EqualFold(g.Code, query.Get("redeemed")) {
			view.Redeemed = &g
			break
		}
	}
	for _, r := range view.Coupons {
		if r.ID == query.Get("coupon") {
			view.Coupon = &r
		}
	}
	for _, g := range view.Created {
		if g.ID == query.Get("cancelled") && (g.Status == string(gift.StatusCancelled) || g.Status == string(gift.StatusRefunded)) {
			view.Cancelled = &g
		}
	}
	out.View = view
	return out, nil
}

// accountAnswer fills in what the account has.
func (d Deps) accountAnswer(ctx context.Context, c *endpoint.Call, gifts *gift.Service, status int, view pages.Gifts) (endpoint.HTML, error) {
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return endpoint.HTML{}, err
	}
	b, err := ledger.Balance(ctx, c.Payer())
	if err != nil {
		return endpoint.HTML{}, err
	}
	created, err := gifts.Created(ctx, c.Payer())
	if err != nil {
		return endpoint.HTML{}, err
	}
	received, err := gifts.Received(ctx, c.Payer())
	if err != nil {
		return endpoint.HTML{}, err
	}
	coupons, err := d.Coupons(ctx)
	if err != nil {
		return endpoint.HTML{}, err
	}
	redeemed, err := coupons.RedemptionsOf(ctx, c.UserID)
	if err != nil {
		return endpoint.HTML{}, err
	}
	for _, r := range redeemed {
		shown := pages.RedeemedCoupon{ID: r.ID, Name: r.Name, Credits: r.Credits.String(), At: r.CreatedAt}
		if r.ExpiresAt != nil {
			shown.Expires = *r.ExpiresAt
		}
		view.Coupons = append(view.Coupons, shown)
	}
	holds, err := d.Abuse(ctx)
	if err != nil {
		return endpoint.HTML{}, err
	}
	held, err := holds.HeldSince(ctx, c.UserID)
	if err != nil {
		return endpoint.HTML{}, err
	}
	if held != nil {
		view.Held = *held
	}
	view.Balance, view.RedeemKey = b.Available.String(), rand.Text()
	for _, g := range created {
		shown := pages.CreatedGift{
			ID: g.ID, Code: string(g.Code), URL: gifts.URL(g.Code), Status: string(g.Status), Message: endpoint.TextOf(g.Message),
			Total: g.TotalCredits.String(), Portion: g.CreditsPerPortion.String(), Portions: g.TotalPortions, Claimed: g.ClaimedPortions,
			Unclaimed: (g.TotalCredits - g.CreditsPerPortion*creditcore.Amount(g.ClaimedPortions)).String(),
		}
		if g.ExpiresAt != nil {
			shown.Expires = *g.ExpiresAt
		}
		view.Created = append(view.Created, shown)
	}
	for _, p := range received {
		view.Received = append(view.Received, pages.ReceivedGift{
			Code: string(p.Code), Credits: p.Credits.String(), Creator: p.CreatorName, Message: endpoint.TextOf(p.Message), At: p.RedeemedAt,
		})
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type accountFormRequest struct {
	Action   string            `json:"action" rule:"max=16,string"`
	Key      string            `json:"key" rule:"optional,max=128,string"`
	ID       string            `json:"id" rule:"optional,max=64,string"`
	Code     string            `json:"code" rule:"optional,max=64,string"`
	Credits  creditcore.Amount `json:"credits" rule:"optional,number,mincredits=1,maxcredits=10000"`
	Portions string            `json:"portions" rule:"optional,max=3,string"`
	Several  string            `json:"several" rule:"optional,string"`
	Target   string            `json:"target" rule:"optional,max=255,string"`
	Question string            `json:"question" rule:"optional,line,max=200,string"`
	Answer   string            `json:"answer" rule:"optional,max=100,string"`
	Message  string            `json:"message" rule:"optional,message,max=500,string"`
	Expires  string            `json:"expires" rule:"optional,max=10,string"`
}

// accountForm makes a gift, redeems one or cancels one, and leads back to the page,
// which says what came of it. A refusal shows the page again, with what was typed.
func (d Deps) accountForm(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req accountFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	if away, err := sso.SignedIn(ctx, c, accountPath); away != nil || err != nil {
		return away, err
	}
	var to string
	var err error
	switch req.Action {
	case "make":
		to, err = makeGift(ctx, c, gifts, req)
	case "redeem":
		to, err = d.redeemHere(ctx, c, gifts, req)
	case "cancel":
		_, err = gifts.Cancel(ctx, c.Payer(), req.ID)
		to = accountPath + "?cancelled=" + url.QueryEscape(req.ID)
	default:
		return nil, errUnknownAction
	}
	if err == nil {
		return endpoint.Redirect{To: to}, nil
	}
	p := known(c, err)
	if p == nil {
		return nil, err
	}
	view := pages.Gifts{Key: rand.Text()}
	if req.Action == "make" {
		view.MakeError, view.Order = p.Code, req.order()
		// Nothing was made under the key; the order it stands for may still change.
		if req.Key != "" && !errors.Is(err, creditcore.ErrKeyReused) {
			view.Key = req.Key
		}
	} else {
		view.Error, view.Code = p.Code, req.Code
	}
	out, err := d.accountAnswer(ctx, c, gifts, p.Status, view)
	return later(out, p), err
}

// order is what was typed.
func (q accountFormRequest) order() pages.GiftOrder {
	o := pages.GiftOrder{
		Portions: q.Portions, Several: q.Several != "", Target: q.Target, Question: q.Question, Answer: q.Answer, Message: q.Message, Expires: q.Expires,
	}
	if q.Credits != 0 {
		o.Credits = q.Credits.String()
	}
	return o
}

// redeemHere redeems a code that was typed, of a gift or of a coupon, which never
// look alike. A gift that asks a riddle leads to its page.
func (d Deps) redeemHere(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req accountFormRequest) (to string, err error) {
	code := strings.TrimSpace(req.Code)
	if _, isCoupon := coupon.ParseCode(code); isCoupon {
		coupons, err := d.Coupons(ctx)
		if err != nil {
			return "", err
		}
		r, err := couponFor(ctx, c, coupons, code, formKey(req.Key))
		return accountPath + "?coupon=" + url.QueryEscape(r.ID), err
	}
	_, err = redeem(ctx, c, gifts, gift.Claim{Code: code, SourceApp: pageApp, Key: formKey(req.Key)}, false)
	if errors.Is(err, gift.NoAnswer) {
		return "/g/" + url.PathEscape(code), nil
	}
	return accountPath + "?redeemed=" + url.QueryEscape(code), err
}

// makeGift makes what the form orders.
func makeGift(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req accountFormRequest) (to string, err error) {
	order, err := req.giftOrder(c)
	if err != nil {
		return "", err
	}
	made, err := gifts.Create(ctx, c.Payer(), order)
	return accountPath + "?made=" + url.QueryEscape(string(made.Code)), err
}

// giftOrder reads the form. What cannot be read is an [*endpoint.Error], whose code
// names its text on the page.
func (q accountFormRequest) giftOrder(c *endpoint.Call) (o gift.Order, err error) {
	refuse := func(code string) error {
		return &endpoint.Error{Status: http.StatusBadRequest, Code: code, Message: "Invalid input"}
	}
	if text := c.FieldText(); text != "" {
		return o, refuse(text)
	}
	o = gift.Order{
		Credits: q.Credits, Portions: 1, RiddleQuestion: strings.TrimSpace(q.Question), RiddleAnswer: strings.TrimSpace(q.Answer),
		Message: q.Message, SourceApp: pageApp, Key: formKey(q.Key),
	}
	if q.Credits == 0 {
		return o, refuse("FIELD_credits_number")
	}
	if q.Portions != "" {
		if o.Portions, err = strconv.Atoi(q.Portions); err != nil || o.Portions < 1 || o.Portions > 100 {
			return o, refuse("FIELD_portions_least")
		}
	}
	switch target := strings.TrimSpace(q.Target); {
	case strings.HasPrefix(target, "@"):
		o.TargetMatrixID = target
	case target != "":
		if o.TargetEmail, err = address.Canonical(target); err != nil {
			return o, refuse("FIELD_target_email")
		}
	}
	if q.Expires != "" {
		day, err := time.Parse(time.DateOnly, q.Expires)
		if err != nil {
			return o, refuse("FIELD_expires_date")
		}
		end := day.AddDate(0, 0, 1)
		o.ExpiresAt = &end
	}
	o.Type = q.kind(o)
	return o, nil
}

// kind is what the gift is made for; several portions for one person come first,
// as they alone change what may be done with it.
func (q accountFormRequest) kind(o gift.Order) gift.Type {
	switch {
	case q.Several != "" && o.Portions > 1:
		return gift.Split
	case o.RiddleQuestion != "":
		return gift.Riddle
	case o.TargetEmail != "" || o.TargetMatrixID != "":
		return gift.Personalized
	case o.Portions > 1:
		return gift.FirstCome
	}
	return gift.Simple
}
