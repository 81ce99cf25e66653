package edge_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/libdns/libdns"
)

// dnsModule stands for the DNS module of wildcard-dns.caddyfile, which is not
// part of the binary: the same name, and a token.
type dnsModule struct {
	APIToken string `json:"api_token,omitempty"`
}

func init() { caddy.RegisterModule(new(dnsModule)) }

// CaddyModule returns the Caddy module information.
func (*dnsModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dns.providers.cloudflare", New: func() caddy.Module { return new(dnsModule) }}
}

// UnmarshalCaddyfile implements [caddyfile.Unmarshaler].
func (m *dnsModule) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&m.APIToken) {
		return d.ArgErr()
	}
	return nil
}

// AppendRecords implements [libdns.RecordAppender].
func (*dnsModule) AppendRecords(_ context.Context, _ string, records []libdns.Record) ([]libdns.Record, error) {
	return records, nil
}

// DeleteRecords implements [libdns.RecordDeleter].
func (*dnsModule) DeleteRecords(_ context.Context, _ string, records []libdns.Record) ([]libdns.Record, error) {
	return records, nil
}

// Every Caddyfile of examples/caddyfiles is formatted, taken by every module it
// names, and listed in the README beside it.
func TestExampleCaddyfilesWork(t *testing.T) {
	setSecrets(t)
	t.Setenv("CLOUDFLARE_API_TOKEN", "0123456789012345678901234567890123456789")
	names := glob(t, "examples/caddyfiles/*.caddyfile")
	if len(names) < 10 {
		t.Fatalf("only %d examples", len(names))
	}
	list := read(t, "examples/caddyfiles/README.md")
	for _, name := range names {
		text := read(t, name)
		t.Run(filepath.Base(name), func(t *testing.T) {
			if string(caddyfile.Format([]byte(text))) != text {
				t.Error("not formatted; `mana-edge fmt --overwrite` does it")
			}
			if !strings.HasPrefix(text, "# ") {
				t.Error("does not say what it is for")
			}
			if !strings.Contains(list, "| `"+filepath.Base(name)+"` |") {
				t.Error("README.md does not list it")
			}
			validate(t, name, text)
		})
	}
}
