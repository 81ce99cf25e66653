package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ulule/limiter/v3/drivers/store/memory"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
)

const couponURL = "/api/v1/credits/coupons/redeem"

// coupon makes one of 10 credits, and is its code.
func (s *site) coupon(name string, change ...func(*coupon.Terms)) string {
	s.Helper()
	terms := coupon.Terms{Name: name, Credits: creditcore.Credits(10)}
	for _, f := range change {
		f(&terms)
	}
	_, code, err := s.Coupons.Create(s.Context(), "", terms, nil)
	if err != nil {
		s.Fatal(err)
	}
	return code
}

// coded checks the code of a refusal.
func (a answer) coded(want string) {
	a.Helper()
	if got := a.text("code"); got != want {
		a.Errorf("the code is %s, want %s", got, want)
	}
}

func TestRedeemCoupon(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@gmail.com")
	_, again := s.member("a.d.a+x@googlemail.com")
	code := s.coupon("Spring", func(terms *coupon.Terms) { terms.CreditsLife = time.Hour })
	redeem := func(code string, headers ...header) answer {
		t.Helper()
		return s.send("POST", couponURL, map[string]any{"code": code}, headers...)
	}
	redeem(code, ada).status(403).coded("COUPON_UNVERIFIED")
	s.exec(`UPDATE auth.users SET email_verified = true`)
	got := redeem(strings.ToLower(strings.ReplaceAll(code, "-", " ")), ada, with("Idempotency-Key", "k")).status(200).object()
	if got["credits"] != 10.0 || got["newBalance"] != 10.0 || got["name"] != "Spring" || got["couponId"] == "" || got["transactionId"] == "" || got["expiresAt"] == nil {
		t.Errorf("redeemed %v", got)
	}
	repeated := redeem(code, ada, with("Idempotency-Key", "k")).status(200)
	if repeated.header.Get("Idempotency-Replayed") != "true" || repeated.object()["transactionId"] != got["transactionId"] {
		t.Errorf("repeated: %s", repeated.body)
	}
	redeem(s.coupon("Other"), ada, with("Idempotency-Key", "k")).status(422)
	if list := s.send("GET", "/api/v1/me/data/export", nil, ada).status(200).object()["coupons"].([]any); len(list) != 1 || list[0].(map[string]any)["credits"] != got["credits"] {
		t.Errorf("exported %v, redeemed %v", list, got)
	}
	redeem(code, ada).status(409).coded("COUPON_USED")
	redeem(code, again).status(409).coded("COUPON_USED")
	redeem("NOT-THERE", ada).status(404).coded("COUPON_UNKNOWN")
	redeem("", ada).status(400)
	redeem(code).status(401)

	redeem(s.coupon("Work", func(terms *coupon.Terms) { terms.Domains = []string{"example.test"} }), ada).status(403).coded("COUPON_OTHER_DOMAIN")
	later := func(terms *coupon.Terms) { terms.StartsAt = time.Now().Add(time.Hour) }
	redeem(s.coupon("Later", later), ada).status(409).coded("COUPON_NOT_STARTED")
	ended := s.coupon("Ended")
	s.exec(`UPDATE credits.coupons SET ended_at = now() WHERE name = 'Ended'`)
	redeem(ended, ada).status(409).coded("COUPON_ENDED")
	old := s.coupon("New", func(terms *coupon.Terms) { terms.NewWithin = time.Hour })
	s.exec(`UPDATE auth.users SET created_at = created_at - interval '2 hours'`)
	redeem(old, ada).status(403).coded("COUPON_NEW_ACCOUNTS")

	_, first := s.member("ada@firm.test")
	_, second := s.member("bob@sub.firm.test")
	s.exec(`UPDATE auth.users SET email_verified = true`)
	domain := s.coupon("Domain", func(terms *coupon.Terms) { terms.DomainLimit = 1 })
	redeem(domain, first).status(200)
	redeem(domain, second).status(409).coded("COUPON_DOMAIN_LIMIT")

	single := s.coupon("Single", func(terms *coupon.Terms) { terms.MaxRedemptions = 1 })
	redeem(single, first).status(200)
	redeem(single, second).status(409).coded("COUPON_LIMIT")

	if n := s.happened(id, "coupon_redeemed"); n != 1 {
		t.Errorf("%d events", n)
	}
	if export := s.send("GET", "/api/v1/me/data/export", nil, ada).status(200).body; !strings.Contains(export, "Coupon: Spring") {
		t.Errorf("the export has no coupon: %s", export)
	}
}

// Codes of coupons are guessed as slowly as those of gifts, in one count.
func TestGuessingCoupons(t *testing.T) {
	t.Parallel()
	s := newSite(t, withLimits(memory.NewStore()))
	_, eve := s.member("eve@example.test")
	s.exec(`UPDATE auth.users SET email_verified = true`)
	code := s.coupon("Spring")
	for i := range 10 {
		s.send("POST", couponURL, map[string]any{"code": fmt.Sprintf("GUESS-%03d", i)}, eve).status(404)
		s.send("POST", giftsURL+"/AAAAA"+string(rune('A'+i))+"/redeem", nil, eve).refusedGift("Gift code not found")
	}
	got := s.send("POST", couponURL, map[string]any{"code": code}, eve).status(429)
	if !strings.Contains(got.text("message"), "rate limit") || got.header.Get("Retry-After") == "" {
		t.Errorf("refusal %s %v", got.body, got.header)
	}
}

// The page of gifts takes coupons in the same field.
func TestCouponOnThePageOfGifts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, ada, _ := s.person("ada@example.test")
	s.exec(`UPDATE auth.users SET email_verified = true`)
	code := s.coupon(hostile, func(terms *coupon.Terms) { terms.CreditsLife = time.Hour })
	form := url.Values{"action": {"redeem"}, "code": {" " + strings.ToLower(code) + " "}, "key": {"press"}}
	back := s.form(giftsPage, form, ada).status(303).header.Get("Location")
	s.form(giftsPage, form, ada).status(303)
	s.send("GET", back, nil, ada, in("en")).status(200).wants("You have received:", "10 credits", "&lt;script&gt;", "usable until", "Coupon").lacks("<script>alert")
	form.Set("key", "another press")
	s.form(giftsPage, form, ada, in("de")).status(409).wants("schon eingelöst", strings.ToLower(code))
	s.form(giftsPage, url.Values{"action": {"redeem"}, "code": {"NOT-THERE-1"}}, ada, in("en")).status(404).wants("no such coupon code")
}

// An admin makes a coupon at the desk, reads its code once, and ends it.
func TestCouponsAtTheDesk(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	admin := o.boss
	fields := url.Values{
		"action": {"createCoupon"}, "reason": {"for spring"}, "name": {hostile}, "code": {"spring-2027"}, "amount": {"2.5"}, "creditsDays": {"30"},
		"redemptions": {"100"}, "domainLimit": {"5"}, "domains": {"Example.com, example.org"}, "newDays": {"7"},
	}
	for field, bad := range map[string][2]string{
		"name": {"", "a line of 1 to 100"}, "code": {"short", "8 to 40 letters"}, "amount": {"many", "Credits are a number"}, "creditsDays": {"x", "whole days"},
		"redemptions": {"-1", "number of redemptions"}, "domainLimit": {"0", "redemptions a domain"}, "domains": {"com", "such as example.com"},
		"newDays": {"1.5", "age of accounts"}, "starts": {"soon", "first day"}, "until": {"2020-01-01", "last day"},
	} {
		was := fields.Get(field)
		fields.Set(field, bad[0])
		got := o.form("/admin/coupons", fields, admin, in("en")).status(400).wants(bad[1])
		if field != "redemptions" {
			got.wants(`value="100"`) // what was typed is there still
		}
		fields.Set(field, was)
	}
	o.form("/admin/coupons", fields, admin, in("en")).status(200).wants("SPRING-2027", "shown this once", "&lt;script&gt;", "0 / 100", "30 d", "7 d", "example.com example.org").lacks("<script>alert")
	o.send("GET", "/admin/coupons", nil, admin, in("en")).status(200).lacks("SPRING-2027")
	o.form("/admin/coupons", fields, admin, in("en")).status(409).wants("Another coupon has this code")

	id := o.scalar(`SELECT id FROM credits.coupons WHERE domain_limit = 5`)
	end := url.Values{"action": {"endCoupon"}, "item": {id}, "reason": {"spring is over"}}
	back := o.form("/admin/coupons", end, admin).status(303).header.Get("Location")
	o.send("GET", back, nil, admin, in("en")).status(200).wants("The coupon has ended.", "over")
	o.form("/admin/coupons", end, admin, in("en")).status(409).wants("has ended already")
	end.Set("item", "none")
	o.form("/admin/coupons", end, admin, in("en")).status(404)
	if n := o.scalar(`SELECT count(*) FROM auth.security_events WHERE event_type IN ('coupon_created', 'coupon_ended') AND metadata->>'coupon' = '` + id + `'`); n != "2" {
		t.Errorf("%s events", n)
	}
}
