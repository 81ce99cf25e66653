package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/oauth2"
)

// gitHub has the addresses of github.com, or of an Enterprise Server.
func (p *Provider) gitHub() (site, api string) {
	if p.Endpoint == "" {
		return gitHubSite, gitHubAPI
	}
	site = strings.TrimSuffix(p.Endpoint, "/")
	return site, site + "/api/v3"
}

func (p *Provider) gitHubEndpoint() oauth2.Endpoint {
	site, _ := p.gitHub()
	return oauth2.Endpoint{
		AuthURL: site + "/login/oauth/authorize", TokenURL: site + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams,
	}
}

// gitHubIdentity asks who an access token is of. GitHub is no OpenID provider: the
// number of the account is what stays the same, and the address is the primary one.
func (p *Provider) gitHubIdentity(ctx context.Context, token *oauth2.Token) (Identity, error) {
	var user struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
		Name  string `json:"name"`
	}
	if err := p.gitHubGet(ctx, token, "/user", &user); err != nil {
		return Identity{}, err
	}
	if user.ID <= 0 {
		return Identity{}, failf(Claims, "the account has no id")
	}
	id := Identity{Subject: strconv.FormatInt(user.ID, 10), Name: user.Name}
	if id.Name == "" {
		id.Name = user.Login
	}
	var addresses []struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	if err := p.gitHubGet(ctx, token, "/user/emails", &addresses); err != nil {
		return Identity{}, err
	}
	for _, a := range addresses {
		if a.Primary {
			id.Email, id.EmailVerified = a.Email, a.Verified
		}
	}
	return id, nil
}

func (p *Provider) gitHubGet(ctx context.Context, token *oauth2.Token, path string, into any) error {
	_, api := p.gitHub()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	req.Header.Set("Accept", "application/vnd.github+json")
	resp, err := p.client.Do(req)
	if err != nil {
		return &Error{Unavailable, err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return failf(Unavailable, "%s: status %d", path, resp.StatusCode)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return &Error{Claims, fmt.Errorf("%s: %w", path, err)}
	}
	return nil
}
