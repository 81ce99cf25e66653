package api

import (
	"regexp"

	"mana.how/edge/caddymodule/api/docs"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/openapi"
)

// Row is a line of the route table, for tests.
type Row struct {
	Method, Path           string
	Bearer, Strict         bool
	MostBody               int64
	Page, BetterAuth, Body bool
	Core                   bool
	Service, Raw           bool
	Query, Keyed           bool
	Headers, Lenient       bool
	Limit                  int64
	Secured                bool // somebody must, or may, tell who they are
}

// Table lists the route table.
func Table() []Row {
	var rows []Row
	for _, rt := range table(Config{}, Deps{}, new(docs.Docs)) {
		rows = append(rows, Row{
			Method: rt.Method, Path: rt.Path, Bearer: rt.Access == endpoint.User, Strict: rt.Body == endpoint.Strict, MostBody: rt.MostBody(),
			Page: rt.Format == endpoint.Page, BetterAuth: rt.Format == endpoint.BetterAuth, Body: rt.ReadsBody(),
			Core: rt.Access != endpoint.Open, Service: rt.Access == endpoint.Service || rt.Access == endpoint.UserOrService, Raw: rt.Body == endpoint.Raw,
			Keyed: rt.Keyed(), Headers: len(rt.Headers) > 0, Lenient: rt.Body == endpoint.Stream || rt.Body == endpoint.Lenient && rt.Format == endpoint.Legacy,
			Query: rt.Handler.Plan.ReadsQuery, Limit: rt.Limit.Count, Secured: rt.Access != endpoint.Open && rt.Access != endpoint.Anyone,
		})
	}
	return rows
}

// URL is the row's path with a value for each parameter.
func (r Row) URL() string { return parameter.ReplaceAllString(r.Path, "some-id") }

var parameter = regexp.MustCompile(`\{\w+\}`)

// ErrorCatalogue is the table of errors of all routes, in Markdown.
func ErrorCatalogue() string {
	return openapi.Markdown(openapi.Errors(table(Config{}, Deps{}, new(docs.Docs))))
}

// LimitGroups are the groups of routes that an admin can limit.
var LimitGroups = limitGroups
