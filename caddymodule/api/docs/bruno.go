package docs

import (
	"encoding/json"
	"strings"
)

// bruno is the document as a collection that Bruno imports, in one file.
func bruno(d description, list []operation) ([]byte, error) {
	var items []any
	for i, folder := range folders(list, brunoItem) {
		items = append(items, object{"type": "folder", "name": folder.name, "seq": i + 1, "items": folder.items})
	}
	var environment []any
	for _, v := range variables(d.Servers[0].URL) {
		named := v.(object)
		environment = append(environment, object{"name": named["key"], "value": named["value"], "enabled": true, "secret": named["value"] == "", "type": "text"})
	}
	return json.MarshalIndent(object{
		"version": brunoVersion, "name": d.Info.Title, "items": items,
		"environments": []any{object{"name": d.Info.Title, "variables": environment}},
	}, "", "\t")
}

func brunoItem(op operation, seq int) object {
	body := object{"mode": "none"}
	if example, ok := op.json(); ok {
		body = object{"mode": "json", "json": pretty(example)}
	}
	path, params, headers := op.path, []any{}, []any{}
	param := func(kind string, p parameter) {
		params = append(params, object{"name": p.Name, "value": p.value(), "type": kind, "enabled": p.Required, "description": p.Description})
	}
	for _, p := range op.in("path", true) {
		path = strings.ReplaceAll(path, "{"+p.Name+"}", ":"+p.Name)
		param("path", p)
	}
	for _, p := range op.in("query", true) {
		param("query", p)
	}
	for _, p := range op.in("header", true) {
		headers = append(headers, object{"name": p.Name, "value": p.value(), "enabled": p.Required, "description": p.Description})
	}
	if op.needs("service") && !op.needs("bearer") {
		headers = append(headers, object{"name": "X-Service-Key", "value": "{{serviceKey}}", "enabled": true})
	}
	auth := object{"mode": "none"}
	if op.needs("bearer") {
		auth = object{"mode": "bearer", "bearer": object{"token": "{{accessToken}}"}}
	}
	return object{"type": "http", "name": op.Summary, "seq": seq, "request": object{
		"url": "{{baseUrl}}" + path, "method": op.method, "headers": headers, "params": params, "body": body, "auth": auth, "docs": op.Description,
	}}
}
