package docs

import (
	"encoding/json"
	"strings"
)

// Schemas of what is exported.
const (
	postmanSchema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
	brunoVersion  = "1"
)

type object = map[string]any

// folders are the operations by tag, in order, each as item makes it. Pages, and
// places that are there for old clients alone, are left out.
func folders(list []operation, item func(operation, int) object) (out []operationFolder) {
	at := make(map[string]int)
	for _, op := range list {
		tag := op.Tags[0]
		if op.Deprecated || tag == "pages" {
			continue // places for old clients, and forms for people
		}
		i, known := at[tag]
		if !known {
			i = len(out)
			at[tag] = i
			out = append(out, operationFolder{name: tag})
		}
		out[i].items = append(out[i].items, item(op, len(out[i].items)+1))
	}
	return out
}

// operationFolder is the requests of one tag.
type operationFolder struct {
	name  string
	items []any
}

// variables are those of a collection, which its user fills in.
func variables(base string) []any {
	var list []any
	for _, v := range [][2]string{{"baseUrl", base}, {"accessToken", ""}, {"serviceKey", ""}} {
		list = append(list, object{"key": v[0], "value": v[1]})
	}
	return list
}

// postman is the document as a collection of Postman, format 2.1.0.
func postman(d description, list []operation) ([]byte, error) {
	var items []any
	for _, folder := range folders(list, postmanItem) {
		items = append(items, object{"name": folder.name, "item": folder.items})
	}
	return json.MarshalIndent(object{
		"info":     object{"name": d.Info.Title, "version": d.Info.Version, "schema": postmanSchema},
		"variable": variables(d.Servers[0].URL),
		"item":     items,
	}, "", "\t")
}

func postmanItem(op operation, _ int) object {
	request := object{
		"method": op.method, "description": op.Description, "header": postmanHeaders(op), "url": postmanURL(op), "auth": postmanAuth(op),
	}
	if example, ok := op.json(); ok {
		request["body"] = object{"mode": "raw", "raw": pretty(example), "options": object{"raw": object{"language": "json"}}}
	}
	return object{"name": op.Summary, "request": request, "response": []any{}}
}

func postmanURL(op operation) object {
	path, variables, query := op.path, []any{}, []any{}
	for _, p := range op.in("path", true) {
		path = strings.ReplaceAll(path, "{"+p.Name+"}", ":"+p.Name)
		variables = append(variables, object{"key": p.Name, "value": p.value(), "description": p.Description})
	}
	raw := "{{baseUrl}}" + path
	for _, p := range op.in("query", true) {
		query = append(query, object{"key": p.Name, "value": p.value(), "description": p.Description, "disabled": !p.Required})
	}
	return object{"raw": raw, "host": []any{"{{baseUrl}}"}, "path": strings.Split(strings.TrimPrefix(path, "/"), "/"), "variable": variables, "query": query}
}

func postmanHeaders(op operation) []any {
	headers := []any{}
	if _, ok := op.json(); ok {
		headers = append(headers, object{"key": "Content-Type", "value": "application/json"})
	}
	for _, p := range op.in("header", true) {
		headers = append(headers, object{"key": p.Name, "value": p.value(), "description": p.Description, "disabled": !p.Required})
	}
	return headers
}

func postmanAuth(op operation) object {
	entry := func(key, value string) object { return object{"key": key, "value": value, "type": "string"} }
	switch {
	case op.needs("bearer"):
		return object{"type": "bearer", "bearer": []any{entry("token", "{{accessToken}}")}}
	case op.needs("service"):
		return object{"type": "apikey", "apikey": []any{entry("key", "X-Service-Key"), entry("value", "{{serviceKey}}"), entry("in", "header")}}
	}
	return object{"type": "noauth"}
}

func pretty(example json.RawMessage) string {
	out, err := json.MarshalIndent(orObject(example), "", "  ")
	if err != nil {
		return "{}"
	}
	return string(out)
}
