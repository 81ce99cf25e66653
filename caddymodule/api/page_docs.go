package api

import (
	"context"
	"fmt"
	"strings"

	"mana.how/edge/caddymodule/pages"
)

// docsPage shows the table as a page that needs nothing from elsewhere.
func docsPage(_ context.Context, c *call, _ none) (answerer, error) {
	table := routes()
	view := pages.Docs{Version: c.api.Version}
	for _, t := range tags(table) {
		group := pages.DocGroup{Name: t}
		for _, rt := range table {
			if tag(rt) == t {
				group.Routes = append(group.Routes, docRoute(rt))
			}
		}
		view.Groups = append(view.Groups, group)
	}
	return html{status: 200, view: view}, nil
}

func docRoute(rt *route) pages.DocRoute {
	doc := pages.DocRoute{Method: rt.method, Path: rt.path, Summary: rt.summary, Status: rt.success()}
	switch rt.access {
	case user:
		doc.Access = "Bearer token"
	case cookie:
		doc.Access = "SSO cookie"
	case service:
		doc.Access = serviceKeyHeader
	case userOrService:
		doc.Access = "Bearer token, " + serviceKeyHeader
	}
	if rt.limit.count > 0 {
		doc.Limit = fmt.Sprintf("%d in %v", rt.limit.count, rt.limit.period)
	}
	for _, f := range rt.handler.plan.fields {
		field := pages.DocField{Name: f.name, Type: f.kind.String(), Optional: f.optional}
		var rules []string
		for _, c := range f.rules {
			if c.name != "string" {
				rules = append(rules, c.message)
			}
		}
		field.Rules = strings.Join(rules, "; ")
		doc.Fields = append(doc.Fields, field)
	}
	return doc
}
