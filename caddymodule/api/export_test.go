package api

import (
	"regexp"

	"mana.how/edge/caddymodule/api/docs"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Row is a line of the route table, for tests.
type Row struct {
	Method, Path           string
	Bearer, Strict         bool
	Page, BetterAuth, Body bool
	Core                   bool
	Service, Raw           bool
	Query, Keyed           bool
	Headers, Lenient       bool
	Limit                  int64
}

// Table lists the route table.
func Table() []Row {
	var rows []Row
	for _, rt := range table(Config{}, Deps{}, new(docs.Docs)) {
		rows = append(rows, Row{
			Method: rt.Method, Path: rt.Path, Bearer: rt.Access == endpoint.User, Strict: rt.Body == endpoint.Strict,
			Page: rt.Format == endpoint.Page, BetterAuth: rt.Format == endpoint.BetterAuth, Body: rt.ReadsBody(),
			Core: rt.Access != endpoint.Open, Service: rt.Access == endpoint.Service || rt.Access == endpoint.UserOrService, Raw: rt.Body == endpoint.Raw,
			Keyed: rt.Keyed(), Headers: len(rt.Headers) > 0, Lenient: rt.Body == endpoint.Stream || rt.Body == endpoint.Lenient && rt.Format == endpoint.Legacy,
			Query: rt.Handler.Plan.ReadsQuery, Limit: rt.Limit.Count,
		})
	}
	return rows
}

// URL is the row's path with a value for each parameter.
func (r Row) URL() string { return parameter.ReplaceAllString(r.Path, "some-id") }

var parameter = regexp.MustCompile(`\{\w+\}`)
