package authcore_test

import (
	"errors"
	"sync"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/internal/pgtest"
)

// Thirty-two presenters of a client's refresh token at two edges get one successor, older
// reuse ends the family at both, and another client never gets one.
func TestClientRefreshesOverTwoEdges(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	known := func(c *authcore.Config) {
		for _, id := range []string{"partner", "other"} {
			c.OpenIDClients = append(c.OpenIDClients, openid.Client{
				ID: id, SecretDigest: openid.DigestOf("secret"), Trusted: true, RedirectURIs: []string{"https://app.partner.test/callback"},
			})
		}
	}
	edges := []*authcore.Service{edge(t, db, known), edge(t, db, known)}
	register(t, edges[0], ada)
	client, err := edges[0].OpenIDClient(t.Context(), "partner")
	if err != nil {
		t.Fatal(err)
	}
	other, err := edges[0].OpenIDClient(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	b, err := edges[0].SignInBrowser(t.Context(), laptop, ada, testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	code, err := edges[0].AuthorizeClient(t.Context(), b, openid.Code{ClientID: client.ID, Scopes: []string{"openid", "offline_access"}, RedirectURI: client.RedirectURIs[0]})
	if err != nil {
		t.Fatal(err)
	}
	first, err := edges[1].RedeemCode(t.Context(), laptop, client, code, client.RedirectURIs[0], "")
	if err != nil || first.RefreshToken == "" {
		t.Fatalf("%+v, %v", first, err)
	}

	last := first.RefreshToken
	for range 5 {
		var mu sync.Mutex
		var racing sync.WaitGroup
		successors := map[string]int{}
		for i := range 32 {
			racing.Go(func() {
				g, err := edges[i%2].RefreshClient(t.Context(), laptop, client, last, nil)
				if err != nil {
					t.Errorf("presenter %d: %v", i, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				successors[g.RefreshToken]++
			})
		}
		racing.Wait()
		if len(successors) != 1 {
			t.Fatalf("%d successors: %v", len(successors), successors)
		}
		if _, err := edges[0].RefreshClient(t.Context(), laptop, other, last, nil); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
			t.Errorf("another client: %v", err)
		}
		for next := range successors {
			last = next
		}
	}
	if _, err := edges[1].RefreshClient(t.Context(), laptop, client, first.RefreshToken, nil); err == nil {
		t.Fatal("a token of five generations ago was taken")
	}
	for i, s := range edges {
		if _, err := s.RefreshClient(t.Context(), laptop, client, last, nil); err == nil {
			t.Errorf("edge %d goes on with a family that was reused", i)
		}
		if _, err := s.ClientAccess(t.Context(), first.AccessToken, ""); !errors.Is(err, openid.ErrToken) {
			t.Errorf("edge %d: an access token of the family: %v", i, err)
		}
	}
}
