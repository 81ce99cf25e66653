package decode_test

import (
	"fmt"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/api/endpoint/decode"
)

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":"b"}`, `{"a":1e400,"a":true}`, `{"a":"\ud83d\ude00"}`, `{"a":"\ud83d"}`, `{"a":[{"b":null}]}`, `[]`, "{\"a\":\"\xff\"}",
		`a=b&c=%20`, `a=%`, `{"\u0000":"\\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for name, read := range map[string]func() (decode.Body, error){
			"json": func() (decode.Body, error) { return decode.JSON(raw) },
			"form": func() (decode.Body, error) { return decode.Form(string(raw)) },
		} {
			d, err := read()
			if err != nil {
				if !strings.HasPrefix(err.Error(), "Malformed body: ") {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			for field, v := range d.Values {
				if text := v.Text; v.Kind == decode.Text && v.Invalid == "" && (strings.ContainsRune(text, 0) || strings.ToValidUTF8(text, "") != text) {
					t.Errorf("%s: %q is %q", name, field, text)
				}
			}
			if fmt.Sprint(read()) != fmt.Sprint(d, nil) {
				t.Errorf("%s: decoding %q twice differs", name, raw)
			}
		}
	})
}
