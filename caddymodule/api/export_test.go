package api

import "strings"

// Row is a line of the route table, for tests.
type Row struct {
	Method, Path       string
	Bearer, Strict     bool
	Page, Native, Body bool
	Core               bool
	Limit              int64
}

// Table lists the route table.
func Table() []Row {
	var rows []Row
	for _, rt := range routes() {
		rows = append(rows, Row{
			Method: rt.method, Path: rt.path, Bearer: rt.access == user, Strict: rt.body == strict,
			Page: rt.shape == page, Native: rt.shape == native, Body: rt.handler.plan.readsBody,
			Core: rt.access != open, Limit: rt.limit.count,
		})
	}
	return rows
}

// URL is the row's path with a value for each parameter.
func (r Row) URL() string { return strings.ReplaceAll(r.Path, "{id}", "some-id") }

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

var (
	IsEmail       = isEmail
	IsURL         = isURL
	ClientNetwork = clientNetwork
)
