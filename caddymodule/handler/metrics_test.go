package handler_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

const (
	wholeKey   = "the-key-of-the-family-that-may-do-everything-there-is"
	scraperKey = "the-key-of-prometheus-that-may-read-metrics-and-no-more"
	chatKey    = "the-key-of-the-chat-that-may-charge-its-users-credits"
)

// startMetrics runs an edge with a site for each of readers, which are options of
// mana_api, and says at which address. Site n is called n.localhost. Proxies are
// trusted, so that tests come from where they say.
func startMetrics(t *testing.T, keys string, readers ...string) (addr string, err error) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	addr = freeport.Address(t)
	_, port, _ := net.SplitHostPort(addr)
	text := fmt.Sprintf(`{
	admin off
	persist_config off
	default_bind 127.0.0.1
	grace_period 1s
	servers {
		trusted_proxies static 127.0.0.1
	}
	mana {
		database %q
		base_url http://localhost:%s
		encryption_key 0123456789abcdef0123456789abcdef
		%s
	}
}
`, pgtest.New(t).DSN, port, keys)
	for i, options := range readers {
		text += fmt.Sprintf("http://%d.localhost:%s {\n\tmana_api {\n\t\t%s\n\t}\n}\n", i, port, options)
	}
	config, err := edgetest.Adapt(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		return "", err
	}
	edgetest.StopAtEnd(t)
	return addr, nil
}

// Metrics are for the addresses and service keys that the site names, and a path
// like any other where it names none.
func TestMetricsAreForWhoIsNamed(t *testing.T) {
	keys := "service_key " + wholeKey + "\nservice_key scraper " + scraperKey + " metrics:read\nservice_key chat " + chatKey + " credits:charge"
	tests := []struct {
		name, readers, from, key string
		status                   int
	}{
		{"not shown", "", "127.0.0.1", wholeKey, 404},
		{"an address", "metrics 192.0.2.7", "192.0.2.7", "", 200},
		{"another address", "metrics 192.0.2.7", "192.0.2.8", "", 403},
		{"another address with a key", "metrics 192.0.2.7", "192.0.2.8", wholeKey, 403},
		{"a network", "metrics 2001:db8::/32 192.0.2.0/24", "192.0.2.8", "", 200},
		{"a network of IPv6", "metrics 2001:db8::/32 192.0.2.0/24", "2001:db8:1::9", "", 200},
		{"IPv4 in IPv6", "metrics 192.0.2.0/24", "::ffff:192.0.2.9", "", 200},
		{"private ranges", "metrics private_ranges", "10.1.2.3", "", 200},
		{"from outside", "metrics private_ranges", "203.0.113.9", "", 403},
		{"nobody named, with the key", "metrics", "203.0.113.9", wholeKey, 200},
		{"nobody named, with a key that may read", "metrics", "203.0.113.9", scraperKey, 200},
		{"nobody named, with a key that may not", "metrics", "203.0.113.9", chatKey, 401},
		{"nobody named, without a key", "metrics", "127.0.0.1", "", 401},
		{"a key by name", "metrics scraper", "203.0.113.9", scraperKey, 200},
		{"another key than the named", "metrics scraper", "203.0.113.9", wholeKey, 401},
		{"a key itself", "metrics " + wholeKey, "203.0.113.9", wholeKey, 200},
		{"address or key, by key", "metrics 192.0.2.7 service_key", "203.0.113.9", scraperKey, 200},
		{"address or key, by neither", "metrics 192.0.2.7 service_key", "203.0.113.9", "wrong", 401},
	}
	sites := make([]string, len(tests))
	for i, tt := range tests {
		sites[i] = tt.readers
	}
	addr, err := startMetrics(t, keys, sites...)
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, header := range []string{"X-Service-Key", "Authorization"} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/metrics", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = fmt.Sprintf("%d.localhost", i)
				r.Header.Set("X-Forwarded-For", tt.from)
				if tt.key != "" {
					r.Header.Set(header, map[string]string{"Authorization": "Bearer "}[header]+tt.key)
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != tt.status {
					t.Errorf("%s: %d, want %d: %.200s", header, resp.StatusCode, tt.status, body)
				}
				if shown := strings.Contains(string(body), "mana_sign_ins_total{"); shown != (tt.status == 200) {
					t.Errorf("%s: metrics are shown: %v", header, shown)
				}
			}
		})
	}
}

// What a site says of its readers is checked when it is loaded, and no key gets
// into an error.
func TestMetricsFaults(t *testing.T) {
	for _, tt := range []struct{ name, keys, readers, fault string }{
		{"no key", "", "metrics", "mana_api: metrics: no service_key of the mana block may read them"},
		{"no such key", "service_key " + wholeKey, "metrics grafana", `mana_api: metrics: "grafana" is neither an address, a network, private_ranges nor a service_key`},
		{"a key that is none", "service_key " + wholeKey, "metrics " + scraperKey, "mana_api: metrics: one of its arguments is neither"},
		{"a key without the scope", "service_key chat " + chatKey + " credits:charge", "metrics chat", `mana_api: metrics: the service_key "chat" lacks the scope metrics:read`},
		{"no network", "", "metrics 10.0.0.0/64", `mana_api: metrics: "10.0.0.0/64" is neither`},
		{"twice", "service_key " + wholeKey, "metrics\nmetrics", "mana_api: metrics is already set"},
		{"a block", "service_key " + wholeKey, "metrics {\nuser a\n}", "mana_api metrics: takes no block"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := startMetrics(t, tt.keys, tt.readers)
			if err == nil || !strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), scraperKey) {
				t.Errorf("%v, want %s", err, tt.fault)
			}
		})
	}
}
