package manaid

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	assertionHeader = "X-Mana-Assertion"
	assertionType   = "mana-assertion+jwt"
	// leeway is for the clock of the edge, which may be ahead. There is none for exp.
	leeway = 30 * time.Second
)

// VerifierConfig says whose tokens are taken.
type VerifierConfig struct {
	// Issuer is the base_url of the edge.
	Issuer string
	// Audience is the app: for assertions the audience of `mana_auth { assertion }`, by
	// default the app's host name; for access tokens the audience of the edge, manacore
	// by default.
	Audience string
	// JWKSURL is where the keys are, <Issuer>/.well-known/jwks.json where empty.
	JWKSURL string
	// Client fetches the keys, [http.DefaultClient] where nil.
	Client *http.Client
	// Now is the clock, [time.Now] where nil.
	Now func() time.Time
}

// Verifier verifies assertions and access tokens. It is safe for concurrent use.
type Verifier struct {
	cfg  VerifierConfig
	keys *keySet
}

// NewVerifier makes a verifier. It fetches nothing yet.
func NewVerifier(cfg VerifierConfig) *Verifier {
	if cfg.JWKSURL == "" {
		cfg.JWKSURL = strings.TrimSuffix(cfg.Issuer, "/") + "/.well-known/jwks.json"
	}
	if cfg.Client == nil {
		cfg.Client = http.DefaultClient
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Verifier{cfg, &keySet{url: cfg.JWKSURL, client: cfg.Client, now: cfg.Now}}
}

// Claims are what an access token or an assertion says.
type Claims struct {
	Issuer        string   `json:"iss"`
	Audience      audience `json:"aud"`
	Subject       string   `json:"sub"`
	SessionID     string   `json:"sid"`
	Role          string   `json:"role"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"email_verified"`
	OrgID         string   `json:"org"`
	OrgRole       string   `json:"org_role"`
	KeyID         string   `json:"api_key"`
	Scope         string   `json:"scope"`
	AuthTime      int64    `json:"auth_time"`
	Methods       []string `json:"amr"`
	ID            string   `json:"jti"`
	IssuedAt      int64    `json:"iat"`
	NotBefore     int64    `json:"nbf"`
	Expires       int64    `json:"exp"`

	method, host, path, query string // of an assertion
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Claims) UnmarshalJSON(doc []byte) error {
	type plain Claims
	bound := struct {
		*plain
		Method string `json:"htm"`
		Host   string `json:"host"`
		Path   string `json:"path"`
		Query  string `json:"qh"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(doc, &bound); err != nil {
		return err
	}
	c.method, c.host, c.path, c.query = bound.Method, bound.Host, bound.Path, bound.Query
	return nil
}

// audience is one text or several (RFC 7519, section 4.1.3).
type audience []string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *audience) UnmarshalJSON(doc []byte) error {
	var one string
	if json.Unmarshal(doc, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(doc, (*[]string)(a))
}

func (a audience) has(want string) bool {
	for _, one := range a {
		if one == want {
			return true
		}
	}
	return false
}

// Identity is who the claims are of.
func (c *Claims) Identity() Identity {
	who := Identity{
		UserID: c.Subject, Email: c.Email, EmailVerified: c.EmailVerified, Role: c.Role, SessionID: c.SessionID,
		OrgID: c.OrgID, OrgRole: c.OrgRole, KeyID: c.KeyID, Methods: c.Methods,
	}
	if c.KeyID != "" {
		who.SessionID, who.Scopes = "", strings.Fields(c.Scope)
	}
	if c.AuthTime > 0 {
		who.AuthTime = time.Unix(c.AuthTime, 0)
	}
	return who
}

// Token verifies an access token (RFC 9068 in its checks): signature, type, issuer,
// audience and times. It fails with an error that wraps [ErrInvalid], or with that of
// a key set that could not be fetched.
func (v *Verifier) Token(ctx context.Context, token string) (Claims, error) {
	return v.verify(ctx, token, func(typ string) bool { return typ == "" || strings.EqualFold(typ, "JWT") })
}

// Assertion verifies the assertion of a request: it is signed by the edge, for this
// app, and of this very request. It fails as [Verifier.Token] does.
func (v *Verifier) Assertion(r *http.Request) (Identity, error) {
	values := r.Header[assertionHeader]
	if len(values) != 1 {
		return Identity{}, fmt.Errorf("%w: %d assertions", ErrInvalid, len(values))
	}
	c, err := v.verify(r.Context(), values[0], func(typ string) bool { return typ == assertionType })
	if err != nil {
		return Identity{}, err
	}
	query := sha256.Sum256([]byte(r.URL.RawQuery))
	switch {
	case c.method != r.Method:
		return Identity{}, fmt.Errorf("%w: of another method", ErrInvalid)
	case !strings.EqualFold(c.host, r.Host):
		return Identity{}, fmt.Errorf("%w: of another host", ErrInvalid)
	case c.path != r.URL.EscapedPath():
		return Identity{}, fmt.Errorf("%w: of another path", ErrInvalid)
	case c.query != base64.RawURLEncoding.EncodeToString(query[:]):
		return Identity{}, fmt.Errorf("%w: of another query", ErrInvalid)
	}
	return c.Identity(), nil
}

// RequireAssertion lets only requests on to next whose assertion verifies, and puts
// who they act for into the context. Others get 401.
func (v *Verifier) RequireAssertion(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := v.Assertion(r)
		if err != nil {
			refuse(w, "Invalid token")
			return
		}
		next.ServeHTTP(w, with(r, who))
	})
}

func (v *Verifier) verify(ctx context.Context, token string, isType func(string) bool) (Claims, error) {
	var c Claims
	payload, err := v.keys.open(ctx, token, isType)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	now := v.cfg.Now()
	switch {
	case c.Issuer != v.cfg.Issuer:
		err = fmt.Errorf("%w: of another issuer", ErrInvalid)
	case v.cfg.Audience == "" || !c.Audience.has(v.cfg.Audience):
		err = fmt.Errorf("%w: for another audience", ErrInvalid)
	case c.Subject == "":
		err = fmt.Errorf("%w: without subject", ErrInvalid)
	case now.Unix() >= c.Expires:
		err = fmt.Errorf("%w: expired", ErrInvalid)
	case time.Unix(max(c.IssuedAt, c.NotBefore), 0).After(now.Add(leeway)):
		err = fmt.Errorf("%w: not yet", ErrInvalid)
	}
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}
