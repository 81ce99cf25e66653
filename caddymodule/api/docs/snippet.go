package docs

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Variables of the snippets for a shell.
const (
	tokenVariable   = "$MANA_TOKEN"
	serviceVariable = "$MANA_SERVICE_KEY"
)

// curl is the route as a line of a shell, with what is required and examples for it.
func (op operation) curl(base string) string {
	line := []string{"curl"}
	if op.method != "GET" {
		line = append(line, "-X "+op.method)
	}
	line = append(line, quoted(base+op.target()))
	switch {
	case op.needs("bearer"):
		line = append(line, `-H "Authorization: Bearer `+tokenVariable+`"`)
	case op.needs("service"):
		line = append(line, `-H "X-Service-Key: `+serviceVariable+`"`)
	case op.needs("cookie"):
		line = append(line, "-b cookies.txt")
	}
	for _, p := range op.in("header", false) {
		line = append(line, quotedHeader(p))
	}
	if op.keyed() {
		line = append(line, `-H "`+idempotencyKey+`: $(uuidgen)"`)
	}
	if example, ok := op.json(); ok {
		line = append(line, quoted("-H", "Content-Type: application/json"), quoted("-d", compact(example)))
	}
	return strings.Join(line, " \\\n  ")
}

func quotedHeader(p parameter) string { return quoted("-H", p.Name+": "+p.value()) }

// quoted writes the last of the words so that a shell takes it as it is.
func quoted(words ...string) string {
	last := len(words) - 1
	words[last] = "'" + strings.ReplaceAll(words[last], "'", `'\''`) + "'"
	return strings.Join(words, " ")
}

// typeScript is the route as a line of the client in clients/ts.
func (op operation) typeScript() string {
	var options []string
	if example, ok := op.json(); ok {
		var indented bytes.Buffer
		if json.Indent(&indented, orObject(example), "  ", "  ") == nil {
			options = append(options, "  body: "+indented.String()+",\n")
		}
	}
	if op.keyed() {
		options = append(options, "  idempotencyKey: crypto.randomUUID(),\n")
	}
	call := "const answer = await mana.call(" + text(op.method) + ", " + text(op.target())
	if len(options) == 0 {
		return call + ");"
	}
	return call + ", {\n" + strings.Join(options, "") + "});"
}

func text(s string) string {
	raw, _ := json.Marshal(s) // a text
	return string(raw)
}

func orObject(example json.RawMessage) json.RawMessage {
	if example == nil {
		return json.RawMessage("{}")
	}
	return example
}

func compact(example json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, orObject(example)) != nil {
		return "{}"
	}
	return out.String()
}
