package api

import (
	"reflect"
	"regexp"
	"strings"
)

// Row is a line of the route table, for tests.
type Row struct {
	Method, Path       string
	Bearer, Strict     bool
	Page, Native, Body bool
	Core               bool
	Service, Raw       bool
	Query, Keyed       bool
	Headers, Lenient   bool
	Limit              int64
}

// Table lists the route table.
func Table() []Row {
	var rows []Row
	for _, rt := range routes() {
		rows = append(rows, Row{
			Method: rt.method, Path: rt.path, Bearer: rt.access == user, Strict: rt.body == strict,
			Page: rt.shape == page, Native: rt.shape == native, Body: rt.readsBody(),
			Core: rt.access != open, Service: rt.access == service || rt.access == userOrService, Raw: rt.body == raw,
			Keyed: rt.keyed(), Headers: len(rt.headers) > 0, Lenient: rt.body == lenient && rt.shape == contract,
			Query: rt.handler.plan.readsQuery, Limit: rt.limit.count,
		})
	}
	return rows
}

// URL is the row's path with a value for each parameter.
func (r Row) URL() string { return parameter.ReplaceAllString(r.Path, "some-id") }

var parameter = regexp.MustCompile(`\{\w+\}`)

// Decoded is what came of a body.
type Decoded struct {
	Names    []string
	Texts    map[string]string
	Repeated []string
}

// DecodeJSON and DecodeForm expose the decoders.
func DecodeJSON(raw []byte) (Decoded, error) { return decoded(parseJSON(raw)) }
func DecodeForm(raw string) (Decoded, error) { return decoded(parseForm(raw)) }

func decoded(b body, err error) (Decoded, error) {
	if err != nil {
		return Decoded{}, err
	}
	d := Decoded{Names: b.names, Texts: make(map[string]string), Repeated: b.repeated}
	for name, v := range b.values {
		if v.kind == text && v.fault == "" {
			d.Texts[name] = v.text
		}
	}
	return d, nil
}

// Fill fills a request type from a JSON body, or a form where it is none, and
// a query, and returns the texts of the faults.
func Fill[T any](content, query string, serviceKey bool) (req T, faults []string) {
	parse := parseJSON
	if !strings.HasPrefix(content, "{") {
		parse = func(raw []byte) (body, error) { return parseForm(string(raw)) }
	}
	b, err := parse([]byte(content))
	if err != nil {
		return req, []string{err.Error()}
	}
	q, err := parseForm(query)
	if err != nil {
		return req, []string{err.Error()}
	}
	p := planFor(reflect.TypeFor[T]())
	for _, f := range p.fill(reflect.ValueOf(&req).Elem(), received{body: b, query: q, service: serviceKey}, true) {
		faults = append(faults, f.text)
	}
	return req, faults
}

var (
	IsEmail       = isEmail
	IsURL         = isURL
	ClientNetwork = clientNetwork
)
