package credit

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore/proof"
)

const (
	// rootsDefault and rootsMost are how many roots an answer has.
	rootsDefault = 30
	rootsMost    = 400
)

var (
	errNoRoot   = &endpoint.Error{Status: http.StatusNotFound, Code: "ROOT_NOT_FOUND", Message: "There is no root of that day"}
	errRootDay  = &endpoint.Error{Status: http.StatusBadRequest, Code: "INVALID_DAY", Message: "day must be a day such as 2026-11-29"}
	errRootPage = &endpoint.Error{Status: http.StatusBadRequest, Code: "INVALID_PAGE", Message: "before must be a day such as 2026-11-29, and limit from 1 to 400"}
)

// proofRoutes are those by which anybody can verify the ledger.
func proofRoutes(service func(context.Context) (*proof.Service, error)) []endpoint.Route {
	const at = "/api/v1/credits"
	public := endpoint.Rule{Access: endpoint.Anyone, AnyOrigin: true, Limit: endpoint.BackEndLimit}
	rule := func(summary string, faults ...*endpoint.Error) endpoint.Rule {
		r := public
		r.Summary, r.Errors = summary, faults
		r.Mappings = []endpoint.Mapping{{Err: proof.ErrNoRoot, Answer: errNoRoot}}
		return r
	}
	return []endpoint.Route{
		endpoint.Get(at+"/roots", endpoint.HandleWith(service, roots), rule("The signed roots of the ledger, one for each day, the latest first", errRootPage)),
		endpoint.Get(at+"/roots/{day}", endpoint.HandleWith(service, rootOf), rule("The signed root of a day", errNoRoot, errRootDay)),
		endpoint.Get(at+"/jwks", endpoint.HandleWith(service, proofKeys), rule("The public keys that roots and receipts verify by")),
		endpoint.Get(at+"/proof", endpoint.HandleWith(service, history), endpoint.Rule{Summary: "The whole history of an account with what proves it, as a file",
			Access: endpoint.User, Limit: endpoint.PerMinute(10), Media: "application/json", Errors: []*endpoint.Error{endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole}}),
	}
}

// rootView is a root on the wire.
type rootView struct {
	Day      string        `json:"day"`
	MadeAt   endpoint.Time `json:"madeAt"`
	Accounts int64         `json:"accounts"`
	// Root is the hash, in hexadecimal digits.
	Root string `json:"root"`
	// Statement is the root and the one before it, signed: a JWS in compact form.
	Statement string `json:"statement"`
}

func viewRoot(r proof.Root) rootView {
	return rootView{r.Day.Format(time.DateOnly), endpoint.Time(r.MadeAt), r.Accounts, r.Hash.String(), r.Statement}
}

type rootsRequest struct {
	Before string `query:"before" rule:"optional,max=10,string" doc:"Only roots of days before this one."`
	Limit  *int   `query:"limit" rule:"optional" doc:"How many, 1 to 400; 30 where absent."`
}

type rootsResponse struct {
	Roots []rootView `json:"roots"`
}

func roots(ctx context.Context, _ *endpoint.Call, service *proof.Service, req rootsRequest) (rootsResponse, error) {
	var before time.Time
	var err error
	if req.Before != "" {
		before, err = time.Parse(time.DateOnly, req.Before)
	}
	limit := rootsDefault
	if req.Limit != nil {
		limit = *req.Limit
	}
	if err != nil || limit < 1 || limit > rootsMost {
		return rootsResponse{}, errRootPage
	}
	list, err := service.Roots(ctx, before, limit)
	resp := rootsResponse{Roots: make([]rootView, len(list))}
	for i, r := range list {
		resp.Roots[i] = viewRoot(r)
	}
	return resp, err
}

type rootRequest struct {
	Day string `path:"day" rule:"string" doc:"A day such as 2026-11-29, UTC."`
}

func rootOf(ctx context.Context, _ *endpoint.Call, service *proof.Service, req rootRequest) (rootView, error) {
	day, err := time.Parse(time.DateOnly, req.Day)
	if err != nil {
		return rootView{}, errRootDay
	}
	root, err := service.RootOf(ctx, day)
	if err != nil {
		return rootView{}, err
	}
	return viewRoot(root), nil
}

func proofKeys(_ context.Context, _ *endpoint.Call, service *proof.Service, _ endpoint.None) (endpoint.Document, error) {
	set := service.Keys()
	if !json.Valid(set) {
		return endpoint.Document{}, errors.New("the key set is no JSON")
	}
	return endpoint.Document{ContentType: "application/json; charset=utf-8", CacheControl: "public, max-age=300", Body: set}, nil
}

type proofRequest struct {
	OrganizationID string `query:"organizationId" rule:"optional,max=64,string" doc:"The organization whose account it is, as its owner or admin."`
}

// history answers with a file that is written as it is read: a ledger may be long.
func history(ctx context.Context, c *endpoint.Call, service *proof.Service, req proofRequest) (endpoint.Download, error) {
	who, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return endpoint.Download{}, err
	}
	doc, err := service.DocumentOf(ctx, who.Account())
	if err != nil {
		return endpoint.Download{}, err
	}
	return endpoint.Download{
		Filename: "credits-proof-" + c.Now().UTC().Format(time.DateOnly) + ".json", ContentType: "application/json; charset=utf-8",
		Content: func(w io.Writer) error { return service.Write(ctx, w, doc) },
	}, nil
}
