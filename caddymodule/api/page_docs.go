package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mana.how/edge/caddymodule/pages"
)

// docsPage shows the table as a page that needs nothing from elsewhere.
func docsPage(_ context.Context, c *call, _ none) (answerer, error) {
	table := routes()
	view := pages.Docs{}
	if released := !strings.HasPrefix(c.api.Version, "("); released {
		view.Version = c.api.Version
	}
	for _, t := range tags(table) {
		group := pages.DocGroup{Name: t, Anchor: strings.ReplaceAll(t, " ", "-")}
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
	doc := pages.DocRoute{Method: rt.method, Path: rt.path, Summary: rt.summary, Answers: docAnswers(rt)}
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
		if f.doc != "" {
			rules = append(rules, f.doc)
		}
		field.Rules = strings.Join(rules, "; ")
		switch f.source {
		case fromPath:
			field.Place = "path"
		case fromQuery:
			field.Place = "query"
		}
		doc.Fields = append(doc.Fields, field)
	}
	return doc
}

// docAnswers are the statuses of a route in order, success first.
func docAnswers(rt *route) []pages.DocAnswer {
	answers := []pages.DocAnswer{{Status: strconv.Itoa(rt.success()), Lines: []string{"OK"}}}
	byStatus := rt.problemsByStatus()
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		answers = append(answers, pages.DocAnswer{Status: strconv.Itoa(status), Lines: lines(rt, byStatus[status])})
	}
	return answers
}
