package providertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The client that the provider knows.
const (
	ClientID     = "edge"
	ClientSecret = "secret-of-the-edge"
)

// User is who is signed in at the provider. Verified may be a boolean, a text, or nil.
type User struct {
	Subject, Email, Name string
	Verified             any
	Claims               map[string]any // more
}

// Server is an OpenID provider. Set its knobs before it is asked; nil ones change
// nothing.
type Server struct {
	*httptest.Server
	User User
	// Claims changes what an ID token says, Sign how it is signed, Metadata the
	// discovery document, and JWKS is the key set in the place of the right one.
	Claims   func(map[string]any)
	Sign     func(claims map[string]any) string
	Metadata func(map[string]any)
	JWKS     func() []byte
	// TokenEndpoint answers in the place of the right one.
	TokenEndpoint http.HandlerFunc
	// Secret checks how the client shows who it is, in the place of ClientSecret.
	Secret func(*http.Request) bool
	// NoPKCE takes every verifier, and NoUserInfo has no such endpoint.
	NoPKCE, NoUserInfo bool
	// UserInfo are more claims, of that endpoint alone.
	UserInfo map[string]any

	t         testing.TB
	mu        sync.Mutex
	key       jose.JSONWebKey
	codes     map[string]url.Values // by code: what was asked for
	keyServed int
}

// New starts a provider that signs by RS256.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, codes: make(map[string]url.Values), User: User{Subject: "ada-at-provider", Email: "ada@example.test", Verified: true, Name: "Ada"}}
	s.Rotate("key-1", jose.RS256)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	mux.HandleFunc("GET /jwks", s.keys)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("GET /userinfo", s.userInfo)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Server.Close)
	return s
}

// rsaKey is made once: it takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// Rotate has the provider sign with another key, which alone is in its key set.
func (s *Server) Rotate(kid string, algorithm jose.SignatureAlgorithm) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case jose.RS256:
		key = rsaKey()
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: string(algorithm), Use: "sig"}
}

// KeysServed is how often the key set was fetched.
func (s *Server) KeysServed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyServed
}

// PublicKey is what the key set has.
func (s *Server) PublicKey() jose.JSONWebKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key.Public()
}

func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/jwks",
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "EdDSA", "HS256", "none"},
		"code_challenge_methods_supported":      []string{"S256"},
	}
	if !s.NoUserInfo {
		m["userinfo_endpoint"] = s.URL + "/userinfo"
	}
	if s.Metadata != nil {
		s.Metadata(m)
	}
	answer(w, m)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) keys(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.keyServed++
	s.mu.Unlock()
	if s.JWKS != nil {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(s.JWKS())
		return
	}
	answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.PublicKey()}})
}

// Authorize is what the user does at the provider: it takes the address that the
// browser was sent to, and gives what comes back with it.
func (s *Server) Authorize(address string) url.Values {
	s.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		s.t.Fatal(err)
	}
	asked := u.Query()
	if asked.Get("client_id") != ClientID || asked.Get("response_type") != "code" || asked.Get("code_challenge_method") != "S256" || len(asked.Get("code_challenge")) != 43 || len(asked.Get("state")) < 43 {
		s.t.Fatalf("asked for %v", asked)
	}
	code := rand.Text()
	s.mu.Lock()
	s.codes[code] = asked
	s.mu.Unlock()
	return url.Values{"code": {code}, "state": {asked.Get("state")}}
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if s.TokenEndpoint != nil {
		s.TokenEndpoint(w, r)
		return
	}
	id, secret, basic := r.BasicAuth()
	right := basic && id == ClientID && secret == ClientSecret
	if s.Secret != nil {
		right = s.Secret(r)
	}
	s.mu.Lock()
	asked, known := s.codes[r.PostFormValue("code")]
	delete(s.codes, r.PostFormValue("code"))
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	if !right || !known || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") || !s.NoPKCE && challenge != asked.Get("code_challenge") {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	answer(w, map[string]any{
		"access_token": "access-token-of-the-provider", "refresh_token": "refresh-token-of-the-provider", "token_type": "Bearer",
		"expires_in": 3600, "scope": asked.Get("scope"), "id_token": s.IDToken(map[string]any{"nonce": asked.Get("nonce")}),
	})
}

// IDToken is one of the user, with more claims.
func (s *Server) IDToken(more map[string]any) string {
	now := time.Now()
	claims := map[string]any{"iss": s.URL, "sub": s.User.Subject, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	if s.User.Email != "" {
		claims["email"], claims["email_verified"] = s.User.Email, s.User.Verified
	}
	if s.User.Name != "" {
		claims["name"] = s.User.Name
	}
	maps.Copy(claims, s.User.Claims)
	maps.Copy(claims, more)
	if s.Claims != nil {
		s.Claims(claims)
	}
	if s.Sign != nil {
		return s.Sign(claims)
	}
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	return Sign(s.t, jose.SignatureAlgorithm(key.Algorithm), key, claims)
}

// Sign is a JWT.
func Sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Error(err)
		return ""
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Error(err)
		return ""
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return text
}

// Unsigned is a JWT of the algorithm none.
func Unsigned(claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}

func (s *Server) userInfo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer access-token-of-the-provider" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	claims := map[string]any{"sub": s.User.Subject}
	maps.Copy(claims, s.UserInfo)
	answer(w, claims)
}

// GitHub is a server that has its API.
type GitHub struct {
	*httptest.Server
	ID     int64
	Login  string
	Name   string
	Emails []GitHubEmail
	code   string
}

// GitHubEmail is one of the addresses of an account.
type GitHubEmail struct {
	Email    string `json:"email"`
	Primary  bool   `json:"primary"`
	Verified bool   `json:"verified"`
}

// NewGitHub starts one.
func NewGitHub(t testing.TB) *GitHub {
	g := &GitHub{ID: 583231, Login: "octocat", Name: "Octo Cat", code: rand.Text(), Emails: []GitHubEmail{
		{"old@example.test", false, true}, {"octo@example.test", true, true},
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login/oauth/access_token", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("client_id") != ClientID || r.PostFormValue("client_secret") != ClientSecret || r.PostFormValue("code") != g.code || len(r.PostFormValue("code_verifier")) != 43 {
			answer(w, map[string]string{"error": "bad_verification_code"}) // status 200, as GitHub does
			return
		}
		answer(w, map[string]string{"access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a", "token_type": "bearer", "scope": "read:user,user:email"})
	})
	authorized := func(fn func() any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer gho_16C7e42F292c6912E7710c838347Ae178B4a" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			answer(w, fn())
		}
	}
	mux.HandleFunc("GET /api/v3/user", authorized(func() any { return map[string]any{"id": g.ID, "login": g.Login, "name": g.Name, "email": nil} }))
	mux.HandleFunc("GET /api/v3/user/emails", authorized(func() any { return g.Emails }))
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Server.Close)
	return g
}

// Authorize is what the user does there.
func (g *GitHub) Authorize(address string) (url.Values, error) {
	u, err := url.Parse(address)
	if err != nil || u.Path != "/login/oauth/authorize" || u.Query().Get("client_id") != ClientID {
		return nil, fmt.Errorf("asked for %s: %w", address, err)
	}
	return url.Values{"code": {g.code}, "state": {u.Query().Get("state")}}, nil
}
