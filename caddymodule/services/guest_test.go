package services_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/guest"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// What a guest has left goes to the account that they make, once it is proven whose it is:
// of many sign-ups at once with one cookie, to one.
func TestGuestBecomesAUser(t *testing.T) {
	edgetest.StopAtEnd(t)
	address := freeport.Address(t)
	if err := edgetest.Load(t, edgetest.Whole(t, address, edgetest.With(edgetest.ExternalApp(pgtest.New(t)), "limits", map[string]string{"register": "off"}))); err != nil {
		t.Fatal(err)
	}
	rt := edgetest.LiveRuntime(t)
	day := guest.Allowance{Credits: creditcore.Credits(20), PerAddress: creditcore.Credits(100)}
	newGuest := func() (id, cookie string) {
		t.Helper()
		id, set := rt.Auth.Cookies().NewGuest(time.Now())
		cookie, _, _ = strings.Cut(set, ";")
		if _, err := rt.Guests.Take(t.Context(), guest.Wallet{Device: id, Network: "127.0.0.1"}, day, creditcore.Credits(5)); err != nil {
			t.Fatal(err)
		}
		return id, cookie
	}
	register := func(email, cookie string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/api/v1/auth/register",
			strings.NewReader(`{"email":"`+email+`","password":"`+edgetest.SignUpPassword+`"}`))
		if err != nil {
			t.Error(err)
			return nil
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Cookie", cookie)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return nil
		}
		resp.Body.Close()
		return resp
	}
	prove := func(email string) creditcore.Amount {
		t.Helper()
		u, err := rt.Auth.UserByIDOrEmail(t.Context(), principal.Operator{Name: "test"}, email)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := rt.Credits.BalanceOf(t.Context(), u.ID); err != nil || b.Available != 0 {
			t.Errorf("%s has %s without proof, %v", email, b.Available, err)
		}
		if _, err := rt.Auth.VerifyEmail(t.Context(), principal.Operator{Name: "test"}, u.ID); err != nil {
			t.Fatal(err)
		}
		b, err := rt.Credits.BalanceOf(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		return b.Available
	}

	id, cookie := newGuest()
	const together = 4
	var all sync.WaitGroup
	for i := range together {
		all.Go(func() {
			if resp := register(fmt.Sprintf("user%d@example.com", i), cookie); resp != nil && resp.StatusCode != http.StatusCreated {
				t.Errorf("register: %s", resp.Status)
			}
		})
	}
	all.Wait()
	var sum creditcore.Amount
	for i := range together {
		sum += prove(fmt.Sprintf("user%d@example.com", i))
	}
	if sum != creditcore.Credits(15) {
		t.Errorf("%s went to accounts, want 15", sum)
	}
	events, _, err := rt.Auth.SearchEvents(t.Context(), principal.Operator{Name: "test"}, audit.Filter{Type: "guest_granted", Limit: 5})
	if err != nil || len(events) != 1 || string(events[0].Metadata) != `{"credits": 15}` {
		t.Errorf("on record are %+v, %v", events, err)
	}
	if left, err := rt.Guests.Left(t.Context(), guest.Wallet{Device: id, Network: "127.0.0.1"}, day); err != nil || left != 0 {
		t.Errorf("the wallet has %s left, %v", left, err)
	}

	// An account that exists gets nothing, and the guest keeps what they have.
	id, cookie = newGuest()
	if resp := register("user0@example.com", cookie); resp == nil || resp.StatusCode != http.StatusConflict || resp.Header["Set-Cookie"] != nil {
		t.Errorf("a taken address: %v", resp)
	}
	if left, err := rt.Guests.Left(t.Context(), guest.Wallet{Device: id, Network: "127.0.0.1"}, day); err != nil || left != creditcore.Credits(15) {
		t.Errorf("the wallet has %s left, %v", left, err)
	}
	if breaches, err := rt.Coupons.Audit(t.Context()); err != nil || len(breaches) > 0 {
		t.Errorf("%+v, %v", breaches, err)
	}
	edgetest.WantSound(t, rt.Credits)
}
