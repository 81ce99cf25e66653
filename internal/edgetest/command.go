package edgetest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"mana.how/edge/internal/usertext"
)

// Operate runs a command of the group as main would.
func Operate(t testing.TB, input string, args ...string) (output string, err error) {
	t.Helper()
	output, _, err = operateWith(t, input, args...)
	return output, err
}

// OperateAll is operate without input, and with what the command told on stderr.
func OperateAll(t testing.TB, args ...string) (output, told string, err error) {
	t.Helper()
	return operateWith(t, "", args...)
}

func operateWith(t testing.TB, input string, args ...string) (output, told string, err error) {
	t.Helper()
	if args[0] == "doctor" {
		validating.Lock()
		defer validating.Unlock()
	}
	var out, faults bytes.Buffer
	group := &cobra.Command{Use: "mana", SilenceUsage: true}
	caddycmd.Commands()["mana"].CobraFunc(group)
	group.SetArgs(args)
	group.SetIn(strings.NewReader(input))
	group.SetOut(&out)
	group.SetErr(&faults)
	err = group.ExecuteContext(t.Context())
	if err != nil && !strings.Contains(faults.String(), err.Error()) && !strings.Contains(faults.String(), failure(err)) {
		t.Errorf("stderr %q lacks the error %v", faults.String(), err)
	}
	return out.String(), faults.String(), err
}

// failure is the text of an error as a command writes it in JSON.
func failure(err error) string {
	text, _ := json.Marshal(err.Error())
	return `"message":` + usertext.EscapeJSON(string(text))
}

// ConfigFile is a JSON config with only the app in it.
func ConfigFile(t testing.TB, app map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"apps": map[string]any{"mana": app}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Decode reads what a command printed as JSON.
func Decode[T any](t testing.TB, output string) (value T) {
	t.Helper()
	if err := json.Unmarshal([]byte(output), &value); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	return value
}

type findingJSON struct{ Check, Status, Detail string }

// Findings are those of the doctor, by their checks.
func Findings(t testing.TB, app map[string]any) (map[string]findingJSON, error) {
	t.Helper()
	out, err := Operate(t, "", "doctor", "--json", "--config", ConfigFile(t, app))
	found := make(map[string]findingJSON)
	for _, f := range Decode[[]findingJSON](t, out) {
		found[f.Check] = f
	}
	return found, err
}

// MustOperate is [Operate] for a command that must not fail.
func MustOperate(t *testing.T, args ...string) string {
	t.Helper()
	out, err := Operate(t, "", args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}
