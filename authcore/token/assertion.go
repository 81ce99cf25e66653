package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

const (
	// AssertionType is the typ of assertions (RFC 8725, section 3.11), by which they
	// are told from access tokens.
	AssertionType = "mana-assertion+jwt"

	// AssertionLife is how long an assertion is good.
	AssertionLife = time.Minute
)

// Assertion is what the edge asserts to an app of one request: who it acts for, and
// which request that is. A JSON member is a claim (RFC 7519): htm is that of DPoP (RFC
// 9449, section 4.2); host, path and qh are the Host of the request, its path as it is
// encoded, and the SHA-256 of its query in base64url, as the app gets them.
type Assertion struct {
	Issuer           string `json:"iss"`
	Audience         string `json:"aud"`
	IssuedAt         int64  `json:"iat"`
	Expires          int64  `json:"exp"`
	ID               string `json:"jti"`
	Subject          string `json:"sub"`
	SessionID        string `json:"sid,omitempty"`
	Role             string `json:"role"`
	Email            string `json:"email"`
	EmailVerified    bool   `json:"email_verified"`
	OrganizationID   string `json:"org,omitempty"`
	OrganizationRole string `json:"org_role,omitempty"`
	APIKeyID         string `json:"api_key,omitempty"`
	Method           string `json:"htm"`
	Host             string `json:"host"`
	Path             string `json:"path"`
	QueryHash        string `json:"qh"`
}

// AssertedRequest is the request that an assertion is bound to.
type AssertedRequest struct{ Audience, Method, Host, Path, Query string }

// SignAssertion asserts to an app that the request acts for whom the claims name.
func SignAssertion(k Key, c Claims, r AssertedRequest, now time.Time) (string, error) {
	query := sha256.Sum256([]byte(r.Query))
	a := Assertion{
		Issuer: c.Issuer, Audience: r.Audience, IssuedAt: now.Unix(), Expires: now.Add(AssertionLife).Unix(), ID: rand.Text(),
		Subject: c.Subject, SessionID: c.SessionID, Role: string(c.Role), Email: c.Email, EmailVerified: c.EmailVerified,
		OrganizationID: c.OrganizationID, OrganizationRole: c.OrganizationRole, APIKeyID: c.APIKeyID,
		Method: r.Method, Host: r.Host, Path: r.Path, QueryHash: base64.RawURLEncoding.EncodeToString(query[:]),
	}
	if a.APIKeyID != "" {
		a.SessionID = ""
	}
	payload, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("sign an assertion: %w", err)
	}
	return SignPayload(k, AssertionType, payload)
}
