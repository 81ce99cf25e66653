package api_test

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/internal/dbscope"
)

// Who is held makes no gifts, by the API and by the page, and learns since when and
// whom to ask, not why. Everything else goes on.
func TestGiftingIsHeld(t *testing.T) {
	t.Parallel()
	plain, err := pages.New()
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(_ *api.Config, d *api.Deps) {
		d.Pages = plain.With(pages.Brand{Support: "mailto:help@example.test"})
	})
	id, ada := s.member("ada@example.test")
	_, bob := s.member("bob@example.test")
	s.exec(`UPDATE auth.users SET email_verified = true`)
	cookie := s.cookie("ada@example.test")
	s.grant(id, 100)
	order := map[string]any{"credits": 5}
	before := s.send("POST", giftsURL, order, ada, with("Idempotency-Key", "k")).status(201).object()
	own := s.send("GET", "/api/v1/me/data", nil, ada).status(200)
	if strings.Contains(own.body, "giftingHeldSince") {
		t.Errorf("held before: %s", own.body)
	}
	if err := s.Abuse.Hold(t.Context(), id, "admin:x", "secret reason", nil); err != nil {
		t.Fatal(err)
	}

	refused := s.send("POST", giftsURL, order, ada).status(403)
	refused.coded("GIFTING_HELD")
	if text := refused.text("message"); !strings.Contains(text, "contact support") {
		t.Errorf("the message is %s", text)
	}
	if again := s.send("POST", giftsURL, order, ada, with("Idempotency-Key", "k")).status(201).object(); again["code"] != before["code"] {
		t.Errorf("the gift of before is answered by %v", again)
	}
	s.send("POST", redeemURL(before), nil, bob).status(200)
	theirs := s.gift(s.funded("carl@example.test"), order)
	s.send("POST", redeemURL(theirs), nil, ada).status(200)

	for lang, says := range map[string][]string{"en": {"Giving is paused since", "help@example.test", "mailto:help@example.test"}, "de": {"angehalten seit", "help@example.test"}} {
		s.send("GET", giftsPage, nil, cookie, in(lang)).status(200).wants(says...).lacks(`value="make"`, "secret reason")
	}
	s.form(giftsPage, url.Values{"action": {"make"}, "credits": {"5"}, "key": {"x"}}, cookie, in("en")).status(403).wants("Giving is paused since")
	summary := s.send("GET", "/api/v1/me/data", nil, ada).status(200)
	for _, answer := range []answer{summary, s.send("GET", "/api/v1/me/data/export", nil, ada).status(200)} {
		credits, _ := answer.object()["credits"].(map[string]any)
		at, err := time.Parse(time.RFC3339, credits["giftingHeldSince"].(string))
		if err != nil || time.Since(at) > time.Hour {
			t.Errorf("held since %v, %v", credits["giftingHeldSince"], err)
		}
		if strings.Contains(answer.body, "secret reason") || strings.Contains(answer.body, "score") {
			t.Errorf("own data tells how: %s", answer.body)
		}
	}
	if err := s.Abuse.Release(t.Context(), id, "admin:x", "all is well", nil); err != nil {
		t.Fatal(err)
	}
	s.send("POST", giftsURL, order, ada).status(201)
	s.send("GET", giftsPage, nil, cookie, in("en")).status(200).wants(`value="make"`).lacks("Giving is paused")
}

// funded is the token of a member with credits.
func (s *site) funded(email string) header {
	s.Helper()
	id, token := s.member(email)
	s.grant(id, 100)
	return token
}

// An admin looks at what a score rests on, holds gifting and releases it, with a
// reason that stands in the events of both. Support sees the same and changes nothing.
func TestAbuseAtTheDesk(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	at := "/admin/abuse/" + o.userID
	english := in("en")
	o.exec(`UPDATE credits.abuse_scores SET score = 120, signals = jsonb_build_array(
		jsonb_build_object('kind', 'refunds', 'points', 15, 'count', 3, 'purchases', jsonb_build_array('purchase-1')),
		jsonb_build_object('kind', 'gift_ring', 'points', 30, 'count', 1, 'circles', jsonb_build_array(jsonb_build_object('users', jsonb_build_array($1::text, $2::text), 'rounds', 2))),
		jsonb_build_object('kind', 'collector', 'points', 10, 'count', 5, 'users', jsonb_build_array($2::text, 'who-left')))`, o.userID, o.ownerID)
	for who, cookie := range map[string]header{"support": o.support, "admin": o.boss} {
		o.send("GET", "/admin/abuse", nil, cookie, english).status(200).wants("ada@example.test", `href="`+at+`"`, "120", "allowed").lacks("purchase-1")
		page := o.send("GET", at, nil, cookie, english).status(200)
		page.wants("The money of three purchases or more went back", "purchase-1", "Gifts came back within 30 days", "owner@example.test", `href="/admin/users/`+o.ownerID+`"`, "who-left", "trial credits gathered")
		if offered := strings.Contains(page.body, `value="holdGifting"`); offered != (who == "admin") {
			t.Errorf("%s is offered to hold: %t", who, offered)
		}
		o.send("GET", "/admin/users/"+o.userID, nil, cookie, english).status(200).wants(`href="` + at + `"`)
	}
	o.send("GET", at, nil, o.boss, in("de")).status(200).wants("Geschenke kamen in 30 Tagen", "Geschenke im Kreis")
	o.send("GET", "/admin/abuse/"+o.ownerID, nil, o.support, english).status(200).wants("Nothing is known of this account")
	o.send("GET", "/admin/abuse/nobody", nil, o.boss).status(404)

	do := func(done, action, reason string) {
		t.Helper()
		if to := o.post(at, o.boss, "action", action, "reason", reason).status(303).header.Get("Location"); !strings.HasSuffix(to, "?done="+done) {
			t.Errorf("%s leads to %s", action, to)
		}
	}
	o.post(at, o.boss, "action", "releaseGifting", "reason", "by mistake").status(409)
	o.post(at, o.support, "action", "holdGifting", "reason", "they write so").status(403)
	do("desk-gifting-held", "holdGifting", "rings of gifts")
	o.send("GET", at+"?done=desk-gifting-held", nil, o.boss, english).status(200).wants("gives nothing away any more", "rings of gifts", "admin:"+o.bossID, `value="releaseGifting"`).lacks(`value="holdGifting"`)
	o.send("GET", "/admin/abuse", nil, o.support, english).status(200).wants(`class="mark bad">held`)
	access, _ := o.login("ada@example.test")
	o.send("POST", giftsURL, map[string]any{"credits": 5}, bearer(access)).status(403)
	o.post(at, o.boss, "action", "holdGifting", "reason", "once more").status(409)
	do("desk-gifting-released", "releaseGifting", "friends, they say")
	o.send("GET", at, nil, o.boss, english).status(200).wants("released", "friends, they say", "Score when released")
	o.send("POST", giftsURL, map[string]any{"credits": 5}, bearer(access)).status(201)

	for id, kinds := range map[string][]string{o.userID: {"gifting_held", "gifting_released"}} {
		for _, kind := range kinds {
			if n := o.happened(id, kind); n != 1 {
				t.Errorf("%d events %s", n, kind)
			}
			told, err := dbscope.Row[struct{ N int64 }](t.Context(), o.db.Pool, dbscope.System(), `SELECT count(*) AS n FROM auth.security_events WHERE user_id = $1 AND event_type = 'admin_action' AND metadata->>'action' = $2 AND metadata->>'userId' = $3 AND metadata->>'reason' <> ''`, o.bossID, kind, id)
			if err != nil || told.N != 1 {
				t.Errorf("the admin's own events have %d of %s, %v", told.N, kind, err)
			}
		}
	}

	// What the edge holds says so, and an admin may make it a hold of their own.
	o.exec(`UPDATE credits.abuse_scores SET held_at = now(), held_by = 'edge', hold_reason = 'a score of 120', released_at = NULL, released_by = NULL, release_reason = NULL, released_score = NULL`)
	o.send("GET", at, nil, o.boss, english).status(200).wants("the edge, by the score", `value="releaseGifting"`, `value="holdGifting"`)
	do("desk-gifting-held", "holdGifting", "this stays")
}

// The survey reads what happened in its 90 days, by indexes, however long the tables
// are.
func TestAbuseSurveyReadsNoWholeTable(t *testing.T) {
	t.Parallel()
	s, asked := crowded(t, crowd{20_000, 60_000, 1000})
	inflate(t, s)
	config := s.db.Pool.Config()
	config.ConnConfig.Tracer = asked
	traced, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(traced.Close)
	asked.take()
	if err := abuse.New(abuse.Config{Threshold: 100}, abuse.Deps{Pool: traced}).Score(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole := regexp.MustCompile(`Seq Scan on (users|transactions|purchases|lots|balances|gift_codes|gift_redemptions|cards)\b`)
	explained := 0
	for sql, args := range asked.take() {
		if !strings.HasPrefix(strings.TrimSpace(sql), "WITH") {
			continue
		}
		explained++
		for _, line := range explain(t, s, sql, args) {
			if found := whole.FindString(line); found != "" {
				t.Errorf("%s in\n%s", found, sql)
			}
		}
	}
	if explained != 5 {
		t.Errorf("%d statements were explained", explained)
	}
}
