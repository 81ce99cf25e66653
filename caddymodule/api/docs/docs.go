// Package docs has the routes of the OpenAPI document and of the page that shows
// it to people.
package docs

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/openapi"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/caddymodule/pages"
)

// Docs are the OpenAPI document of a table of routes and its page. Its own
// routes are in the table too: [Docs.Describe] comes after [Docs.Routes].
type Docs struct {
	document, postman, bruno []byte
	page                     pages.Docs
}

// Routes are those of the document and of its page.
func (d *Docs) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Get("/api/v1/openapi.json", endpoint.Handle(d.openAPI), endpoint.Rule{Summary: "This document", Limit: endpoint.UserLimit}),
		endpoint.Get("/api-docs-json", endpoint.Handle(d.openAPI), endpoint.Rule{Summary: "This document", Limit: endpoint.UserLimit}),
		endpoint.Get("/api/v1/postman.json", endpoint.Handle(d.postmanCollection), endpoint.Rule{Summary: "This document as a collection for Postman", Limit: endpoint.UserLimit}),
		endpoint.Get("/api/v1/bruno.json", endpoint.Handle(d.brunoCollection), endpoint.Rule{Summary: "This document as a collection for Bruno", Limit: endpoint.UserLimit}),
		endpoint.Get("/api-docs", endpoint.Handle(d.html), endpoint.Rule{Summary: "This document as a page", Format: endpoint.Page, Limit: endpoint.UserLimit}),
	}
}

// Describe makes the document and its page of the whole table, for the service
// at the base URL in a version of the program.
func (d *Docs) Describe(table []endpoint.Route, baseURL *url.URL, version string) (err error) {
	if d.document, err = openapi.Document(table, baseURL, version); err != nil {
		return err
	}
	described, operations, err := describe(d.document, table)
	if err != nil {
		return err
	}
	if d.postman, err = postman(described, operations); err != nil {
		return err
	}
	if d.bruno, err = bruno(described, operations); err != nil {
		return err
	}
	d.page = pages.Docs{}
	if released := !strings.HasPrefix(version, "("); released {
		d.page.Version = version
	}
	for _, tag := range openapi.Tags(table) {
		group := pages.DocGroup{Name: tag, Anchor: strings.ReplaceAll(tag, " ", "-")}
		for i := range table {
			if rt := &table[i]; openapi.Tag(rt) == tag {
				group.Routes = append(group.Routes, docRoute(rt, operations[i], baseURL.String()))
			}
		}
		d.page.Groups = append(d.page.Groups, group)
	}
	for _, e := range openapi.Errors(table) {
		statuses := make([]string, len(e.Statuses))
		for i, status := range e.Statuses {
			statuses[i] = strconv.Itoa(status)
		}
		d.page.Errors = append(d.page.Errors, pages.DocError{Code: e.Code, Status: strings.Join(statuses, ", "), Texts: e.Texts, Advice: e.Advice()})
	}
	return nil
}

func (d *Docs) openAPI(context.Context, *endpoint.Call, endpoint.None) (endpoint.Document, error) {
	return asJSON(d.document), nil
}

func (d *Docs) postmanCollection(context.Context, *endpoint.Call, endpoint.None) (endpoint.Document, error) {
	return asJSON(d.postman), nil
}

func (d *Docs) brunoCollection(context.Context, *endpoint.Call, endpoint.None) (endpoint.Document, error) {
	return asJSON(d.bruno), nil
}

func asJSON(body []byte) endpoint.Document {
	return endpoint.Document{ContentType: "application/json; charset=utf-8", CacheControl: "public, max-age=300", Body: body}
}

// html shows the table as a page that needs nothing from elsewhere.
func (d *Docs) html(context.Context, *endpoint.Call, endpoint.None) (endpoint.Answer, error) {
	return endpoint.HTML{Status: 200, View: d.page}, nil
}

func docRoute(rt *endpoint.Route, op operation, base string) pages.DocRoute {
	doc := pages.DocRoute{Method: rt.Method, Path: rt.Path, Summary: rt.Summary, Answers: docAnswers(rt), Try: tryable(rt)}
	if rt.Format != endpoint.Page {
		doc.Curl, doc.TypeScript = op.curl(base), op.typeScript()
	}
	switch rt.Access {
	case endpoint.User:
		doc.Access = "Bearer token"
	case endpoint.Cookie:
		doc.Access = "SSO cookie"
	case endpoint.Service:
		doc.Access = endpoint.ServiceKeyHeader
	case endpoint.UserOrService:
		doc.Access = "Bearer token, " + endpoint.ServiceKeyHeader
	}
	if rt.Limit.Count > 0 {
		doc.Limit = fmt.Sprintf("%d in %v", rt.Limit.Count, rt.Limit.Period)
	}
	for _, f := range rt.Handler.Plan.Fields {
		field := pages.DocField{Name: f.Name, Type: f.Kind.String(), Optional: f.Optional || f.Unless != ""}
		var rules []string
		for _, c := range f.Rules {
			if c.Name != "string" {
				rules = append(rules, c.Message)
			}
		}
		if f.Doc != "" {
			rules = append(rules, f.Doc)
		}
		field.Rules = strings.Join(rules, "; ")
		switch f.Source {
		case validate.FromPath:
			field.Place = "path"
		case validate.FromQuery:
			field.Place = "query"
		}
		doc.Fields = append(doc.Fields, field)
	}
	return doc
}

// tryable is how a page can call the route for whoever is signed in: not with a
// service key, which belongs in no browser, nor a protocol that leads away.
func tryable(rt *endpoint.Route) string {
	if rt.Format == endpoint.Page || rt.Format == endpoint.OAuth || rt.Found || rt.Body == endpoint.Stream || rt.Body == endpoint.Raw {
		return ""
	}
	switch rt.Access {
	case endpoint.User, endpoint.UserOrService:
		return "bearer"
	case endpoint.Cookie:
		return "cookie"
	case endpoint.Service:
		return ""
	}
	return "open"
}

// docAnswers are the statuses of a route in order, success first.
func docAnswers(rt *endpoint.Route) []pages.DocAnswer {
	answers := []pages.DocAnswer{{Status: strconv.Itoa(rt.Success()), Lines: []string{"OK"}}}
	byStatus := openapi.ErrorsByStatus(rt)
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		answers = append(answers, pages.DocAnswer{Status: strconv.Itoa(status), Lines: openapi.Lines(rt, byStatus[status])})
	}
	return answers
}
