package edgetest

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// Adapt turns a Caddyfile into its JSON.
func Adapt(t testing.TB, config string) ([]byte, error) {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": "Caddyfile"})
	return adapted, err
}

// HandlerNames lists the handlers of a config in the order requests meet them.
func HandlerNames(t testing.TB, config []byte) []string {
	t.Helper()
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		t.Fatal(err)
	}
	var names []string
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if name, ok := node["handler"].(string); ok && name != "subroute" {
				names = append(names, name)
			}
			for _, key := range []string{"apps", "http", "servers", "srv0", "routes", "handle"} {
				walk(node[key])
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
	return names
}

// AsJSON is the value as indented JSON.
func AsJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// WantFaults expects each text once.
func WantFaults(t testing.TB, err error, wants ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range wants {
		if n := strings.Count(err.Error(), want); n != 1 {
			t.Errorf("%q stands %d times in\n%v", want, n, err)
		}
	}
}

// Validate does with a Caddyfile what the command does.
func Validate(t testing.TB, file string) error {
	t.Helper()
	adapted, err := Adapt(t, file)
	if err != nil {
		return err
	}
	config := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(adapted, config); err != nil {
		t.Fatal(err)
	}
	validating.Lock()
	defer validating.Unlock()
	return caddy.Validate(config)
}

// validating is held around caddy.Validate, which writes variables of the process.
var validating sync.Mutex
