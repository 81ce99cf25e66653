package pages_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"mana.how/edge/caddymodule/pages"
)

func views() []pages.View {
	return append(topUpReasons(attack), []pages.View{
		pages.Login{Email: attack, ReturnURL: attack, Error: "INVALID_CREDENTIALS"},
		pages.Register{Name: attack, Email: attack, ReturnURL: attack, Error: attack},
		pages.Verify{Token: attack, RedirectTo: attack}, pages.Resend{Email: attack, Error: attack}, pages.Forgot{Email: attack, Error: attack},
		pages.Reset{Token: attack, Error: attack}, pages.Mailed{Email: attack, About: attack}, pages.Mailed{Email: attack, About: "verify"},
		pages.Login{Email: attack, Error: "EMAIL_NOT_VERIFIED", Verified: true, Reset: true}, pages.Notice{Code: "EMAIL_NOT_VERIFIED", Resend: attack}, pages.Notice{Code: "ORG_REQUIRED"},
		pages.Account{Name: attack, NewName: attack, Email: attack, Error: attack, HasPicture: true, Uploads: true}, pages.Account{Done: "name"},
		pages.Email{Email: attack, Pending: attack, New: attack, Error: attack, Proof: pages.Proof{Recent: true}}, pages.Email{Verified: true, Done: "sent"},
		pages.Password{Email: attack, HasPassword: true, Error: attack}, pages.Password{Email: attack, Done: "password"},
		pages.Passkeys{Available: true, Proof: pages.Proof{Recent: true}, Error: attack, List: []pages.Passkey{
			{ID: attack, Name: attack, Created: time.Unix(0, 0), Synced: true}, {LastUsed: time.Unix(0, 0)},
		}}, pages.Passkeys{Available: true, Proof: pages.Proof{Password: true}}, pages.Passkeys{Done: "added"},
		pages.Devices{List: []pages.Device{
			{ID: attack, Name: attack, UserAgent: attack, IPAddress: attack, LastSeen: time.Unix(0, 0)}, {Current: true, App: true},
		}, Ended: []pages.Event{{Type: attack, Cause: attack, Name: attack, Device: attack, IPAddress: attack}}}, pages.Devices{Done: "ended"},
		pages.Events{Older: attack, List: []pages.Event{{Type: attack, Name: attack, Device: attack, IPAddress: attack, Operator: true}}}, pages.Events{Newest: true},
		pages.Preferences{Language: attack, NewDevice: true, Done: "saved"}, pages.Preferences{Language: "de"},
		pages.OwnData{Email: attack, Error: attack, Proof: pages.Proof{Recent: true}}, pages.OwnData{Proof: pages.Proof{Password: true}}, pages.OwnData{},
		pages.Left{Waiting: []string{attack}}, pages.Left{},
		pages.Login{Passkeys: true, ReturnURL: attack}, pages.TwoFactor{Passkey: true, ReturnURL: attack}, pages.Reauthenticate{Passkey: true, Password: true, ReturnURL: attack, Email: attack},
		pages.Security{Enabled: true}, pages.Security{Proof: pages.Proof{Password: true}}, pages.Security{Enabled: true, Proof: pages.Proof{Recent: true}},
		pages.Loop{Site: attack},
		pages.Login{Client: attack}, pages.Consent{Name: attack, Email: attack, Code: attack, Scopes: []string{attack, "openid", "profile", "email", "offline_access"}},
		pages.DeviceCode{Code: attack, Error: attack}, pages.DeviceCode{Code: attack, Name: attack, Email: attack, Scopes: []string{attack}}, pages.DeviceCode{Decided: "allowed"}, pages.DeviceCode{Decided: "refused"},
		pages.SignOut{Client: attack, Target: attack, State: attack, ReturnURL: attack}, pages.SignOut{}, pages.SignedOut{}, pages.Apps{}, pages.Apps{Done: "revoked", Error: attack, List: []pages.App{
			{ID: attack, Name: attack, Scopes: []string{attack}, ConnectedAt: time.Unix(0, 0), UsedAt: time.Unix(0, 0), Sessions: 1}, {Gone: true}, {Trusted: true},
		}},
		pages.Gift{Code: attack, Status: "active", Credits: attack, Portions: 2, Creator: attack, Message: attack, Riddle: attack, Personalized: true, Expires: time.Unix(0, 0)},
		pages.Login{Closed: true}, pages.Gift{Status: "active", Closed: true}, pages.Gift{}, pages.Gift{Status: "depleted"}, pages.Gift{Status: "expired"}, pages.Gift{Status: "cancelled"}, pages.Gift{Status: "refunded"},
		pages.Problem{Code: attack, RequestID: attack},
		pages.Price{Credits: attack, URL: attack}, pages.Price{Credits: "1", AtMost: true, URL: "https://chat.example.test/x"},
		pages.Notice{Code: attack, SignIn: attack}, pages.Notice{}, pages.Notice{Code: "RATE_LIMITED", Wait: time.Minute}, pages.Notice{Code: "SIGN_IN_LOOP"},
		pages.Problem{Code: "RATE_LIMITED", Wait: 3 * time.Hour}, pages.Shortfall{Required: attack, Available: attack, Missing: attack, Debt: attack, Buy: attack},
		pages.Shortfall{Required: "2.5", Available: "1", Missing: "1.5", Sells: true, Buy: "https://auth.example.test/account/credits/buy"},
		pages.Shortfall{Required: "2.5", Available: "1", Missing: "1.5", Organization: true, Buy: attack}, pages.Shortfall{Required: "2.5", Available: "1", Missing: "1.5", Organization: true, Allotment: true, Buy: attack},
		pages.Credits{Balance: "0", Chart: creditsView("").Chart, Organization: attack, Sells: true}, pages.Shop{Balance: "1", Portal: true, Organization: attack},
		creditsView(attack), pages.Credits{Balance: "0", Chart: creditsView("").Chart}, shopView(attack), teamShop(attack), pages.Shop{Balance: "1", Portal: true}, pages.Onward{URL: "https://checkout.stripe.com/c/pay/1"},
		pages.Login{PasswordsOff: true, ReturnURL: attack, Providers: buttons(attack)}, pages.Login{Providers: buttons(attack)},
		pages.Register{PasswordsOff: true, Providers: buttons(attack)}, pages.Register{Providers: buttons(attack)},
		pages.SignIns{Error: attack, Proof: pages.Proof{Recent: true}, Providers: []pages.ProviderChoice{{ID: attack, Name: attack}}, List: []pages.SignInAccount{
			{ID: attack, Provider: attack, Email: attack, Linked: time.Unix(0, 0), LastUsed: time.Unix(0, 0)}, {Provider: "GitHub"},
		}}, pages.SignIns{Providers: []pages.ProviderChoice{{ID: "a", Name: "A"}}}, pages.SignIns{Done: "linked"},
		pages.ProviderFailed{Provider: attack, Code: attack, Retry: attack, Back: attack}, pages.ProviderFailed{Code: "PROVIDER_EXPIRED", Back: "/login"},
		pages.Address{Provider: attack, Token: attack, Email: attack, Error: attack}, pages.Onward{URL: "https://sso.example.test/", Provider: attack},
		pages.Reauthenticate{ReturnURL: attack, Providers: []pages.ProviderChoice{{ID: attack, Name: attack}}},
		organizationsView(attack), pages.Organizations{Done: "made"}, teamView(attack), pages.Team{Done: "owner", Wallet: pages.Wallet{Balance: "0", Share: pages.Share{Spent: "0", Left: "0"}}},
		deskView(attack), pages.Desk{ReadOnly: true, Error: "READ_ONLY"}, pages.Desk{At: "/admin", Done: "desk-granted"},
		topUpView(attack), pages.Credits{Balance: "0", Chart: creditsView("").Chart, Sells: true, ToppedUp: true, LowBalance: "10"}, pages.Credits{Balance: "0", Chart: creditsView("").Chart, Sells: true, TopUpWaits: true},
		giftsView(attack), pages.Gifts{Balance: "0", Error: "GIFT_CLAIMED"},
		pages.Gift{Code: attack, Status: "active", Credits: "1", User: attack, Key: attack, Riddle: attack, Error: attack}, pages.Gift{Status: "active", Credits: "1", User: attack, Own: true},
		pages.Docs{Version: attack, Errors: []pages.DocError{{Code: attack, Status: attack, Advice: attack, Texts: []string{attack}}}, Groups: []pages.DocGroup{{Name: attack, Routes: []pages.DocRoute{
			{Method: attack, Path: attack, Summary: attack, Access: attack, Limit: attack, Curl: attack, TypeScript: attack, Try: attack,
				Fields: []pages.DocField{{Name: attack, Type: attack, Rules: attack, Optional: true}}},
		}}}},
	}...)
}

const attack = `"><script>alert('1')</script><img src=x onerror=alert(1)>`

// TestPagesEscapeAndTranslate renders every page in both languages with an
// attack in every place, and looks for keys that have no text.
func TestPagesEscapeAndTranslate(t *testing.T) {
	t.Parallel()
	p, err := pages.New()
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`[>"]\s*(title|field|hint|login|register|account|loop|gift|problem|price|notice|docs|layout|footer|wait|shortfall|credits|source|entry|shop|plan|onward|gifts|giftStatus|section|done|profile|email|password|passkey|proof|devices|events|preferences|owndata|left|event|security|provider|signins|address|desk[A-Za-z]*|wallet|period|team|orgRole|organizations)\.[a-zA-Z]+`)
	for _, lang := range []pages.Language{pages.German, pages.English} {
		for _, v := range views() {
			out, nonce, err := p.Render(lang, v)
			if err != nil {
				t.Fatal(err)
			}
			page := string(out)
			scripts := 0
			if pages.Scripted(v) {
				scripts = 1
			}
			if strings.Count(page, "<script") != scripts || strings.Count(page, `<script nonce="`+nonce+`">`) != scripts || strings.Count(page, "<img") != 1 {
				t.Errorf("%T lets markup through: %s", v, page)
			}
			if len(page) > 60_000 {
				t.Errorf("%T in %s has %d bytes", v, lang, len(page))
			}
			if found := key.FindString(page); found != "" {
				t.Errorf("%T in %s shows the key %q", v, lang, found)
			}
			if len(nonce) < 22 || !strings.Contains(page, `nonce="`+nonce+`"`) || !strings.Contains(page, `lang="`+string(lang)+`"`) {
				t.Errorf("%T in %s: nonce %q", v, lang, nonce)
			}
			if strings.Contains(page, "ZgotmplZ") {
				t.Errorf("%T in %s: a value was refused by its place", v, lang)
			}
		}
	}
}

// buttons are two providers.
func buttons(text string) []pages.ProviderButton {
	return []pages.ProviderButton{{Name: text, URL: "/api/auth/sign-in/social/a?callbackURL=" + url.QueryEscape(text)}, {Name: "GitHub", URL: "/api/auth/sign-in/social/github"}}
}

// entryTypes are those of a ledger, imported ones too.
var entryTypes = []string{"purchase", "usage", "refund", "gift", "expiry", "adjustment", "bonus", "gift_reserve", "gift_release", "gift_receive"}

// creditsView has everything that the page can show, with a text in every place.
func creditsView(text string) pages.Credits {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	v := pages.Credits{
		Balance: "1234.567", Held: "0.02", Debt: "3", Sells: true, Paid: true, Error: "FIELD_range",
		ByApp: []pages.UsageLine{{Name: text, Credits: "12.5", Refunded: "0.5", Requests: 7}, {Credits: "1", Requests: 1}},
		ByDay: []pages.UsageLine{{Name: "2026-02-03", Credits: "12.5", Requests: 7}},
		Older: "?before=2", Newest: "?", Export: "?app=x",
		Filter: pages.HistoryFilter{Type: "usage", App: text, From: "2026-01-01", To: text, Types: entryTypes[:6], Apps: []string{text}},
	}
	for _, source := range []string{"purchase", "gift", "subscription", "refund", "admin"} {
		v.Lots = append(v.Lots, pages.Lot{Source: source, Left: "100.001", CreatedAt: at}, pages.Lot{Source: source, Left: "1", CreatedAt: at, ExpiresAt: at, RollsOver: "0.5"})
	}
	v.LowBalance, v.DefaultLow, v.Done = "10.5", "5", "saved"
	for _, kind := range []string{"low", "exhausted", "expiring", "budget", "purchased", "debt", "renewal_failed", "topped_up", "top_up_confirm", "top_up_failed", "top_up_capped", "top_up_off"} {
		v.Alerts = append(v.Alerts, pages.Alert{Kind: kind, Credits: "9.5", Ends: at, At: at}, pages.Alert{Kind: kind, At: at})
	}
	for i, kind := range entryTypes {
		v.Entries = append(v.Entries, pages.Entry{At: at, Type: kind, App: text, Operation: text, Description: text, Amount: "-0.001", Balance: "5", Incoming: i%2 == 0})
	}
	days, values, written := make([]time.Time, 30), make([]int64, 30), make([]string, 30)
	for i := range days {
		days[i], values[i], written[i] = at.AddDate(0, 0, i-29), int64(i*i), "1.5"
	}
	v.Chart = pages.NewChart(days, values, written)
	return v
}

func shopView(text string) pages.Shop {
	v := pages.Shop{Balance: "5", Debt: "1.5", Key: text, Portal: true, Cancelled: true, Subscribed: true, Error: "ALREADY_SUBSCRIBED",
		Packages: []pages.Package{{ID: text, Name: text, Description: text, Credits: "1000", Cents: 999}},
		Plans:    []pages.Plan{{ID: text, Name: text, Description: text, Credits: "100", MonthlyCents: 499, YearlyCents: 4999, Features: []string{text}, Current: true, RollsOver: "50", PerSeat: true}},
		Current:  &pages.Subscription{Plan: text, Status: "active", Until: time.Unix(0, 0), Ends: true, Seats: 5},
		Card:     &pages.Card{Brand: text, Last4: text}, ToppedUp: true,
	}
	return v
}

// teamShop sells by the seat to an organisation, which has a subscription or none.
func teamShop(text string) pages.Shop {
	v := shopView(text)
	v.Organization, v.Members, v.Current, v.Error = text, 3, nil, "SEATS_TAKEN"
	return v
}

// topUpView is a page of the automatic top-up that has what it can show, but for the
// reasons of topUpReasons.
func topUpView(text string) pages.TopUp {
	return pages.TopUp{
		Enabled: true, Sells: true, Threshold: text, Cap: text, PackageID: text, Packages: []pages.Package{{ID: text, Name: text, Credits: "1000", Cents: 999}},
		SpentCents: 999, CapCents: 5000, Card: &pages.Card{Brand: text, Last4: text, Month: 2, Year: 2030}, Confirm: true, Waits: "confirm", RunningCents: 999,
		Returned: true, Paid: true, Organization: text, At: text, Proof: pages.Proof{Recent: true}, Done: "saved", Error: "TOP_UP_CAP",
	}
}

// topUpReasons are the pages of each reason that it waits or is off for.
func topUpReasons(text string) (list []pages.View) {
	for _, why := range []string{"cap", "daily", "processing", "declined", "stripe"} {
		v := topUpView(text)
		v.Waits, v.Confirm, v.Proof.Recent, v.Done = why, why == "declined", false, "card-removed"
		list = append(list, v)
	}
	for _, why := range []string{"declined", "unconfirmed", "card", "package"} {
		list = append(list, pages.TopUp{Sells: true, OffReason: why})
	}
	return append(list, pages.TopUp{})
}

func giftsView(text string) pages.Gifts {
	made := pages.CreatedGift{ID: text, Code: text, URL: text, Status: "active", Message: text, Total: "10", Portion: "5", Unclaimed: "5", Portions: 2, Claimed: 1, Expires: time.Unix(0, 0)}
	got := pages.ReceivedGift{Code: text, Credits: "5", Creator: text, Message: text, At: time.Unix(0, 0)}
	redeemed := pages.RedeemedCoupon{ID: text, Name: text, Credits: "5", At: time.Unix(0, 0), Expires: time.Unix(1, 0)}
	v := pages.Gifts{Balance: "5", Made: &made, Cancelled: &made, Redeemed: &got, Coupon: &redeemed, Coupons: []pages.RedeemedCoupon{redeemed}, Key: text, RedeemKey: text, Code: text, MakeError: "GIFT_RIDDLE", Error: text,
		Received: []pages.ReceivedGift{got}, Order: pages.GiftOrder{Credits: text, Portions: text, Target: text, Question: text, Answer: text, Message: text, Expires: text, Several: true}}
	for _, status := range []string{"active", "depleted", "expired", "cancelled", "refunded"} {
		made.Status = status
		v.Created = append(v.Created, made)
	}
	return v
}

func TestLanguagesDiffer(t *testing.T) {
	t.Parallel()
	p, err := pages.New()
	if err != nil {
		t.Fatal(err)
	}
	for lang, want := range map[pages.Language]string{pages.German: "Anmelden", pages.English: "Sign in"} {
		out, _, err := p.Render(lang, pages.Login{})
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s", lang, err, out)
		}
	}
}

func TestLanguageOf(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]pages.Language{
		"":                               pages.English,
		"de":                             pages.German,
		"DE-at":                          pages.German,
		"en-GB,en;q=0.9,de;q=0.8":        pages.English,
		"fr,de;q=0.3,en;q=0.2":           pages.German,
		"fr":                             pages.English,
		"de;q=0":                         pages.English,
		"de;q=NaN":                       pages.English,
		"de;q=2,en":                      pages.English,
		"*":                              pages.English,
		strings.Repeat("x,", 999) + "de": pages.English,
	} {
		if got := pages.LanguageOf(header); got != want {
			t.Errorf("%.40q: %s, want %s", header, got, want)
		}
	}
}

// Every event that an account can have is told in a sentence of its own, in both
// languages, and so is every cause that a session ended for.
func TestEventsAreSentences(t *testing.T) {
	t.Parallel()
	p, err := pages.New()
	if err != nil {
		t.Fatal(err)
	}
	event := regexp.MustCompile(`(?s)<ul class="events">\s*<li><span>(.*?)</span>`)
	seen := map[string]pages.Event{}
	for _, e := range []pages.Event{
		{Type: "registered"}, {Type: "user_created", Operator: true}, {Type: "login_success"}, {Type: "login_failed"}, {Type: "two_factor_failed"},
		{Type: "account_locked"}, {Type: "session_exchanged"}, {Type: "reauthenticated"}, {Type: "sign_in_link_requested"}, {Type: "logout"},
		{Type: "session_revoked"}, {Type: "session_revoked", Cause: "session_revoked"}, {Type: "session_revoked", Cause: "session_revoked", Operator: true},
		{Type: "session_revoked", Cause: "password_changed"}, {Type: "session_revoked", Cause: "email_changed"}, {Type: "session_revoked", Cause: "email_verified"},
		{Type: "session_revoked", Cause: "account_disabled"}, {Type: "session_revoked", Cause: "account_enabled"}, {Type: "refresh_reuse"},
		{Type: "password_changed"}, {Type: "password_changed", Operator: true}, {Type: "password_reset_requested"}, {Type: "password_reset_completed"},
		{Type: "verification_requested"}, {Type: "email_verified"}, {Type: "email_verified", Operator: true}, {Type: "email_change_requested"}, {Type: "email_changed"},
		{Type: "email_change_undone"}, {Type: "two_factor_enabled"}, {Type: "two_factor_disabled"}, {Type: "two_factor_disabled", Operator: true},
		{Type: "backup_codes_renewed"}, {Type: "passkey_added"}, {Type: "passkey_removed"}, {Type: "passkey_cloned"}, {Type: "role_changed", Operator: true},
		{Type: "account_disabled", Operator: true}, {Type: "account_enabled", Operator: true}, {Type: "account_deleted"}, {Type: "admin_action"}, {Type: "api_key_created"}, {Type: "api_key_revoked"}, {Type: "data_viewed", Operator: true}, {Type: "data_exported", Operator: true}, {Type: "credits_granted", Operator: true}, {Type: "coupon_redeemed"}, {Type: "trial_granted"}, {Type: "guest_granted"}, {Type: "gifting_held", Operator: true}, {Type: "gifting_released", Operator: true}, {Type: "debt_forgiven", Operator: true},
		{Type: "organization_created"}, {Type: "organization_created", Operator: true}, {Type: "organization_updated"}, {Type: "organization_deleted"}, {Type: "organization_deleted", Operator: true}, {Type: "organization_invited"}, {Type: "organization_invitation_canceled"}, {Type: "organization_invitation_rejected"}, {Type: "organization_joined"}, {Type: "organization_left"}, {Type: "organization_member_removed"}, {Type: "organization_role_changed"}, {Type: "organization_activated"},
		{Type: "login_success", Cause: "provider"}, {Type: "account_linked"}, {Type: "account_unlinked"}, {Type: "provider_refused"}, {Type: "email_verified", Cause: "provider"},
	} {
		for _, lang := range []pages.Language{pages.German, pages.English} {
			out, _, err := p.Render(lang, pages.Events{List: []pages.Event{e}})
			if err != nil {
				t.Fatal(err)
			}
			found := event.FindStringSubmatch(string(out))
			if found == nil || strings.Contains(found[1], e.Type) {
				t.Fatalf("%+v in %s: %q", e, lang, found)
			}
			if other, ok := seen[string(lang)+found[1]]; ok {
				t.Errorf("%+v is told as %+v is: %s", e, other, found[1])
			}
			seen[string(lang)+found[1]] = e
		}
	}
}

func organizationsView(text string) pages.Organizations {
	return pages.Organizations{
		Verified: true, Acting: true, NewName: text, Error: text,
		List: []pages.Organization{{ID: text, Name: text, Role: "owner", Active: true}, {ID: "2", Name: "Teahouse", Role: "member"}},
		Invitations: []pages.Invitation{
			{ID: text, Name: text, Inviter: text, Role: "admin", Expires: time.Unix(1_800_000_000, 0), Focus: true},
		},
	}
}

func teamView(text string) pages.Team {
	return pages.Team{
		ID: text, Name: text, Manages: true, Owns: true, Recent: true, NewName: text, InviteMail: text, Error: text,
		Members: []pages.Member{
			{ID: "1", Name: text, Email: text, Role: "owner", You: true, Share: pages.Share{Spent: "12.5"}}, {ID: text, Email: text, Role: "admin", Changeable: true, Share: pages.Share{Allotment: pages.Allotment{Credits: "100", Period: "total"}, Spent: "40", Left: "60"}},
			{ID: "3", Name: "Bob", Email: "bob@example.test", Role: "member", Changeable: true, Share: pages.Share{Allotment: pages.Allotment{Credits: "5", Period: "day"}, Common: true, Spent: "0", Left: "5"}},
		},
		Invitations: []pages.Invitation{{ID: text, Email: text, Role: "member", Expires: time.Unix(1_800_000_000, 0)}},
		Wallet: pages.Wallet{
			Balance: "1234.5", Held: "2", Debt: "3", Sells: true, Share: pages.Share{Spent: "12.5"}, Default: pages.Allotment{Credits: "5", Period: "day"}, Credits: text,
			Entries: []pages.Entry{
				{At: time.Unix(1_780_000_000, 0), Type: "usage", App: text, Operation: text, Description: text, Amount: "-2.5", By: text},
				{At: time.Unix(1_780_000_000, 0), Type: "purchase", Description: "Credit purchase: 1000 credits", Amount: "1000", Incoming: true, By: "Ada"},
			},
		},
	}
}

// Who has to show once more who they are comes back to the page with where it led.
func TestSecurityComesBack(t *testing.T) {
	t.Parallel()
	out, _, err := newPages(t).Render(pages.English, pages.Security{ReturnURL: "https://chat.example.test/x?a=1&b=2"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `/reauthenticate?returnUrl=%2faccount%2ftwo-factor%3freturnUrl%3dhttps%253A%252F%252Fchat.example.test%252Fx%253Fa%253D1%2526b%253D2`
	if !strings.Contains(string(out), want) {
		t.Errorf("%s is not in %s", want, out)
	}
}
