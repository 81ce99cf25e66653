package gift

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore/gift"
)

// giftPage shows a gift to people; an unknown code is a page of status 404. Who is
// signed in can redeem it there.
func (d Deps) giftPage(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req giftInfoRequest) (endpoint.Answer, error) {
	user := ""
	b, err := sso.Caller(ctx, c)
	switch {
	case err == nil:
		user = b.User().Email
	case !errors.Is(err, authcore.ErrNoSession):
		return nil, err
	}
	return d.giftAnswer(ctx, c, gifts, req.Code, http.StatusOK, pages.Gift{User: user, Key: rand.Text()})
}

// giftAnswer fills in what the code holds.
func (d Deps) giftAnswer(ctx context.Context, c *endpoint.Call, gifts *gift.Service, code string, status int, view pages.Gift) (endpoint.Answer, error) {
	g, err := lookup(ctx, c, gifts, code, false)
	if errors.Is(err, gift.ErrNotFound) {
		return endpoint.HTML{Status: http.StatusNotFound, View: pages.Gift{}}, nil
	}
	if err != nil {
		return nil, err
	}
	view.Closed, view.Own = d.RegistrationClosed, c.UserID != "" && g.CreatorID == c.UserID
	view.Code, view.Status, view.Credits = string(g.Code), string(g.Status), g.CreditsPerPortion.String()
	view.Portions, view.Left = g.TotalPortions, g.TotalPortions-g.ClaimedPortions
	view.Creator, view.Message, view.Personalized = g.CreatorName, endpoint.TextOf(g.Message), g.Personalized
	if g.HasRiddle {
		view.Riddle = endpoint.TextOf(g.RiddleQuestion)
	}
	if g.ExpiresAt != nil {
		view.Expires = *g.ExpiresAt
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type giftFormRequest struct {
	Code   string `path:"gift" rule:"string" doc:"The code of the gift."`
	Answer string `json:"answer" rule:"optional,max=100,string"`
	Key    string `json:"key" rule:"optional,max=128,string"`
}

// giftForm redeems the gift of the page and leads to the gifts of the account. A
// refusal shows the page again.
func (d Deps) giftForm(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req giftFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	if away, err := sso.SignedIn(ctx, c, "/g/"+url.PathEscape(req.Code)); away != nil || err != nil {
		return away, err
	}
	view := pages.Gift{User: c.Email, Key: rand.Text()}
	if view.Error = c.FieldText(); view.Error != "" {
		return d.giftAnswer(ctx, c, gifts, req.Code, http.StatusBadRequest, view)
	}
	_, err := redeem(ctx, c, gifts, gift.Claim{Code: req.Code, Answer: req.Answer, SourceApp: pageApp, Key: formKey(req.Key)}, false)
	if err == nil {
		return endpoint.Redirect{To: accountPath + "?redeemed=" + url.QueryEscape(req.Code)}, nil
	}
	p := known(c, err)
	if p == nil {
		return nil, err
	}
	view.Error = p.Code
	out, err := d.giftAnswer(ctx, c, gifts, req.Code, p.Status, view)
	return later(out, p), err
}

// pageApp is the app that a gift made or redeemed on the pages comes from.
const pageApp = "pages"

// formKey is the idempotency key of a form: one press of its button is told from
// two by what stands hidden in it.
func formKey(hidden string) string {
	if hidden == "" {
		return ""
	}
	return "page:" + hidden
}

// later tells when another try may help.
func later(out endpoint.Answer, p *endpoint.Error) endpoint.Answer {
	if html, ok := out.(endpoint.HTML); ok {
		html.RetryAfter = p.RetryAfter
		return html
	}
	return out
}
