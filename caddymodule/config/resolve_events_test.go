package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"mana.how/edge/caddymodule/config"
)

const eventSecret = "a secret of at least thirty-two bytes"

func eventsOf(line string) (config.Config, error) {
	c := external()
	var read config.Config
	d := caddyfile.NewTestDispenser("mana {\n events " + line + "\n}")
	d.Next()
	err := read.UnmarshalCaddyfile(d)
	c.Events = read.Events
	return c, err
}

func TestEventSinks(t *testing.T) {
	t.Parallel()
	none, err := external().ResolveWith(nil)
	if err != nil || none.Events.To != "" {
		t.Fatalf("without the option: %+v, %v", none.Events, err)
	}
	seen := []config.Settings{none}
	for line, want := range map[string]string{
		"stdout":             "stdout",
		"file /var/log/a.jl": "file /var/log/a.jl",
		"webhook https://siem.example.com/in `" + eventSecret + "`":     "webhook https://siem.example.com/in",
		"webhook https://siem.example.com/in `" + eventSecret + " too`": "webhook https://siem.example.com/in",
	} {
		c, err := eventsOf(line)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.ResolveWith(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(s.Events.To + " " + s.Events.Path + s.Events.URL); got != want {
			t.Errorf("%s is %q", line, got)
		}
		if text := fmt.Sprintf("%+v %#v", s, s.Events); strings.Contains(text, eventSecret) {
			t.Errorf("the secret is shown: %s", text)
		}
		for _, other := range seen {
			if config.SameRuntime(s, other) {
				t.Errorf("%s shares a runtime with %s", line, other.Events.To)
			}
		}
		seen = append(seen, s)
	}
}

func TestEventSinkFaults(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                          "takes stdout, file <path> or webhook",
		"syslog":                    "takes stdout",
		"stdout now":                "takes stdout",
		"file":                      "takes stdout",
		"webhook https://a.example": "takes stdout",
		"file events.jsonl":         "no absolute path",
		"webhook siem.example `" + eventSecret + "`":              "no http or https URL",
		"webhook https://u:p@siem.example `" + eventSecret + "`":  "no http or https URL",
		"webhook ftp://siem.example `" + eventSecret + "`":        "no http or https URL",
		"webhook https://siem.example `" + eventSecret[:31] + "`": "31 bytes, at least 32",
	} {
		c, err := eventsOf(line)
		if err == nil {
			_, err = c.ResolveWith(nil)
		}
		if err == nil || !strings.Contains(err.Error(), "events: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	c := external()
	c.Events = &config.EventsConfig{To: "syslog"}
	if _, err := c.ResolveWith(nil); err == nil || !strings.Contains(err.Error(), `events: "syslog" is none of`) {
		t.Errorf("JSON: %v", err)
	}
}
