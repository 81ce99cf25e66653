package provider

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// refreshAfter is how long a discovery document is used before it is fetched again.
// One that cannot be fetched then goes on to be used.
const refreshAfter = time.Hour

// algorithms are those of signatures that are taken, where the provider announces
// them.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// metadata is what a provider says of itself (OpenID Connect Discovery 1.0, section
// 3; RFC 8414).
type metadata struct {
	server *oidc.Provider
	told
	keys *keySet
	at   time.Time
}

type told struct {
	JWKS          string   `json:"jwks_uri"`
	UserInfo      string   `json:"userinfo_endpoint"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	SendsIssuer   bool     `json:"authorization_response_iss_parameter_supported"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
}

// with has the libraries ask with our client.
func (p *Provider) with(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// discover is the provider's metadata, fetched when it is first needed.
func (p *Provider) discover(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	if known != nil && p.now().Sub(known.at) < refreshAfter {
		return known, nil
	}
	loading := p.loading.DoChan("", func() (any, error) {
		return p.fetchMetadata(context.WithoutCancel(ctx), known) // one asker's leaving must not fail the others
	})
	select {
	case <-ctx.Done():
		return nil, &Error{Unavailable, ctx.Err()}
	case r := <-loading:
		if r.Err == nil {
			return r.Val.(*metadata), nil
		}
		if known != nil {
			return known, nil
		}
		return nil, because(Unavailable, r.Err)
	}
}

func (p *Provider) fetchMetadata(ctx context.Context, before *metadata) (*metadata, error) {
	server, err := oidc.NewProvider(p.with(ctx), p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	m := &metadata{server: server, at: p.now()}
	if err := server.Claims(&m.told); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	for name, address := range map[string]string{"authorization_endpoint": m.Authorization, "token_endpoint": m.Token, "jwks_uri": m.JWKS, "userinfo_endpoint": m.UserInfo} {
		if address == "" && name == "userinfo_endpoint" {
			continue
		}
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLocal(u.Hostname())) {
			return nil, fmt.Errorf("discovery: %s is no https URL", name)
		}
	}
	if before != nil && before.JWKS == m.JWKS {
		m.keys = before.keys
	} else {
		m.keys = newKeySet(m.JWKS, p.client)
	}
	p.mu.Lock()
	p.known = m
	p.mu.Unlock()
	return m, nil
}

// accepted are the algorithms that the provider announces and that are taken,
// RS256 where it announces none.
func (m *metadata) accepted() []string {
	var list []string
	for _, a := range m.Algorithms {
		if slices.Contains(algorithms, a) {
			list = append(list, a)
		}
	}
	if len(m.Algorithms) == 0 {
		list = []string{oidc.RS256}
	}
	return list
}

// authStyle is how the client shows its secret: in the header, unless the provider
// takes it in the body alone.
func (m *metadata) authStyle() oauth2.AuthStyle {
	if len(m.AuthMethods) > 0 && !slices.Contains(m.AuthMethods, "client_secret_basic") && slices.Contains(m.AuthMethods, "client_secret_post") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}
