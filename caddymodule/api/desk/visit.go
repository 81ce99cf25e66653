package desk

import (
	"context"
	"net/url"
	"strings"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/usertext"
)

// deskRequest is what a page is asked for. A page reads what it knows; the rest is
// empty.
type deskRequest struct {
	Q      string `query:"q" rule:"optional,max=255,string"`
	Type   string `query:"type" rule:"optional,max=64,string"`
	Kind   string `query:"kind" rule:"optional,max=32,string"`
	User   string `query:"user" rule:"optional,max=255,string"`
	Org    string `query:"org" rule:"optional,max=255,string"`
	IP     string `query:"ip" rule:"optional,max=64,string"`
	From   string `query:"from" rule:"optional,max=32,string"`
	To     string `query:"to" rule:"optional,max=32,string"`
	Status string `query:"status" rule:"optional,max=32,string"`
	Before string `query:"before" rule:"optional,max=300,string"`
	Audit  string `query:"audit" rule:"optional,max=8,string"`
}

// deskItemRequest is a deskRequest for the page of one thing.
type deskItemRequest struct {
	ID     string `path:"id" rule:"max=255,string"`
	Before string `query:"before" rule:"optional,max=300,string"`
	Audit  string `query:"audit" rule:"optional,max=8,string"`
}

// visit is a page that is asked for by somebody who may see it.
type visit struct {
	ID string // of the path
	deskRequest
}

// page fills a page. Section, who may change it and what was done are filled in
// for it.
type page func(context.Context, *endpoint.Call, visit) (pages.Desk, error)

// asked are the requests of pages.
type asked interface{ visit() visit }

func (r deskRequest) visit() visit { return visit{deskRequest: r} }
func (r deskItemRequest) visit() visit {
	return visit{ID: r.ID, deskRequest: deskRequest{Before: r.Before, Audit: r.Audit}}
}

// shownList is the handler of a page that is not that of one thing.
func shownList(d Deps, p page) endpoint.Handler { return endpoint.Handle(shown[deskRequest](d, p)) }

// shownItem is the handler of the page of one thing.
func shownItem(d Deps, p page) endpoint.Handler { return endpoint.Handle(shown[deskItemRequest](d, p)) }

func shown[Req asked](d Deps, p page) func(context.Context, *endpoint.Call, Req) (endpoint.Answer, error) {
	return func(ctx context.Context, c *endpoint.Call, req Req) (endpoint.Answer, error) {
		if away, err := sso.SignedIn(ctx, c, c.Request.URL.RequestURI()); away != nil || err != nil {
			return away, err
		}
		if !d.maySee(c) {
			return nil, errNotAdmin
		}
		return d.answer(ctx, c, 200, p, req.visit(), sso.DoneOf(c, doneWords...), "")
	}
}

// doneWords are what pages may be told was done.
var doneWords = []string{
	"desk-role", "desk-disabled", "desk-enabled", "desk-sessions", "desk-factor", "desk-granted", "desk-forgiven",
	"desk-erased", "desk-organization", "desk-key", "desk-client", "desk-mail", "desk-rotated", "desk-revoked",
	"desk-webhook-enabled", "desk-webhook-disabled", "desk-webhook-deleted", "desk-webhook-replayed", "desk-coupon-ended",
	"desk-gifting-held", "desk-gifting-released", "desk-prices-published", "desk-prices-withdrawn",
}

// answer is a page with what all of them have.
func (d Deps) answer(ctx context.Context, c *endpoint.Call, status int, p page, v visit, done, fault string) (endpoint.Answer, error) {
	view, err := p(ctx, c, v)
	if err != nil {
		return nil, err
	}
	view.ReadOnly = !d.mayChange(c)
	if view.Recent, err = isRecent(ctx, c); err != nil {
		return nil, err
	}
	view.At = c.Request.URL.EscapedPath()
	view.Done, view.Error = done, fault
	return endpoint.HTML{Status: status, View: view}, nil
}

// order is what a form of a page asks for.
type order struct {
	ID             string // of the path
	Action, Reason string
	Item           string
	Role           string
	Amount, AtMost string
	Expires        string
	Confirm        string
	Key            string
	URL, Types     string
	Description    string
	Coupon         couponOrder
	By             principal.Operator
}

// deskForm is what forms send, each what it has.
type deskForm struct {
	Action string `json:"action" rule:"max=32,string"`
	Reason string `json:"reason" rule:"optional,upto=4000,string"`
	Item   string `json:"item" rule:"optional,max=255,string"`

	URL         string `json:"url" rule:"optional,upto=4000,string"`
	Types       string `json:"types" rule:"optional,upto=4000,string"`
	Description string `json:"description" rule:"optional,upto=4000,string"`

	Name        string `json:"name" rule:"optional,upto=4000,string"`
	Code        string `json:"code" rule:"optional,upto=4000,string"`
	Amount      string `json:"amount" rule:"optional,max=32,string"`
	Starts      string `json:"starts" rule:"optional,max=32,string"`
	Until       string `json:"until" rule:"optional,max=32,string"`
	CreditsDays string `json:"creditsDays" rule:"optional,max=32,string"`
	Redemptions string `json:"redemptions" rule:"optional,max=32,string"`
	DomainLimit string `json:"domainLimit" rule:"optional,max=32,string"`
	Domains     string `json:"domains" rule:"optional,upto=16000,string"`
	NewDays     string `json:"newDays" rule:"optional,max=32,string"`
}

// deskItemForm is what forms of the page of one thing send.
type deskItemForm struct {
	ID      string `path:"id" rule:"max=255,string"`
	Action  string `json:"action" rule:"max=32,string"`
	Reason  string `json:"reason" rule:"optional,upto=4000,string"`
	Item    string `json:"item" rule:"optional,max=255,string"`
	Role    string `json:"role" rule:"optional,max=32,string"`
	Amount  string `json:"amount" rule:"optional,max=32,string"`
	AtMost  string `json:"atMost" rule:"optional,max=32,string"`
	Expires string `json:"expires" rule:"optional,max=32,string"`
	Confirm string `json:"confirm" rule:"optional,max=255,string"`
	Key     string `json:"key" rule:"optional,max=64,string"`
}

// ordered are the requests of forms.
type ordered interface{ order() order }

func (f deskForm) order() order {
	return order{Action: f.Action, Reason: f.Reason, Item: f.Item, URL: f.URL, Types: f.Types, Description: f.Description, Coupon: couponOrder{
		Name: f.Name, Code: f.Code, Amount: f.Amount, Starts: f.Starts, Until: f.Until, CreditsDays: f.CreditsDays,
		Redemptions: f.Redemptions, DomainLimit: f.DomainLimit, Domains: f.Domains, NewDays: f.NewDays,
	}}
}
func (f deskItemForm) order() order {
	return order{ID: f.ID, Action: f.Action, Reason: f.Reason, Item: f.Item, Role: f.Role, Amount: f.Amount, AtMost: f.AtMost, Expires: f.Expires, Confirm: f.Confirm, Key: f.Key}
}

// outcome is what a change came to: a word for what was done, and the page that says
// so where it is not the same one; or an answer of its own.
type outcome struct {
	done, at string
	answer   endpoint.Answer
}

// change does what a form asks for.
type change func(context.Context, *endpoint.Call, order) (outcome, error)

// changes is the handler of the forms of the page of one thing.
func (d Deps) changes(p page, do change) endpoint.Handler {
	return endpoint.Handle(func(ctx context.Context, c *endpoint.Call, f deskItemForm) (endpoint.Answer, error) {
		return d.changed(ctx, c, p, do, f)
	})
}

// listChanges is the handler of the forms of a list.
func (d Deps) listChanges(p page, do change) endpoint.Handler {
	return endpoint.Handle(func(ctx context.Context, c *endpoint.Call, f deskForm) (endpoint.Answer, error) {
		return d.changed(ctx, c, p, do, f)
	})
}

// Bounds of a reason, in characters.
const leastReason, mostReason = 3, 1000

// changed is what every form of the desk goes through: it comes from a page of ours,
// and from an admin who has lately shown who they are and says why.
func (d Deps) changed(ctx context.Context, c *endpoint.Call, p page, do change, f ordered) (endpoint.Answer, error) {
	at := c.Request.URL.EscapedPath()
	if away, err := sso.OwnForm(ctx, c, at); away != nil || err != nil {
		return away, err
	}
	switch {
	case !d.maySee(c):
		return nil, errNotAdmin
	case !d.mayChange(c):
		return nil, errReadOnly
	}
	o := f.order()
	out, err := func() (outcome, error) {
		if err := c.Auth.RequireRecent(ctx, c.Caller); err != nil {
			return outcome{}, err
		}
		if len(c.FieldErrors) > 0 {
			if c.FieldErrors[0].Field == "reason" {
				return outcome{}, errReason
			}
			return outcome{}, errUnknownAction
		}
		o.Reason = strings.TrimSpace(usertext.Clean(o.Reason, 4*mostReason))
		if n := len([]rune(o.Reason)); n < leastReason || n > mostReason {
			return outcome{}, errReason
		}
		o.By = operator(c, o.Reason)
		return do(ctx, c, o)
	}()
	if err != nil {
		return sso.Refused(c, err, at, func(status int, code string) (endpoint.Answer, error) {
			return d.answer(ctx, c, status, p, visit{ID: o.ID}, "", code)
		})
	}
	if out.answer != nil {
		return out.answer, nil
	}
	if out.at != "" {
		at = out.at
	}
	return sso.Done(at, out.done), nil
}

// pathOf is the page of one thing among others.
func pathOf(list, id string) string { return list + "/" + url.PathEscape(id) }

// queryOf is a query of pairs of names and values, without those that are empty.
func queryOf(pairs ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}
