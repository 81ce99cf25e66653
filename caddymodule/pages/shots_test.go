package pages_test

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"mana.how/edge/caddymodule/pages"
)

// shots is where TestShots puts its pictures: make shots SHOTS=<dir>.
var shots = flag.String("shots", "", "directory to put a picture of every page into")

// gallery has every page as people see it, by the name of its picture.
func gallery() map[string]pages.View {
	at := time.Date(2026, 2, 3, 16, 5, 6, 0, time.UTC)
	setup, err := pages.NewSetup("otpauth://totp/Mana:ada@example.test?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Mana")
	if err != nil {
		panic(err)
	}
	credits := creditsView("chat")
	credits.Error, credits.Paid = "", false
	credits.ByApp = []pages.UsageLine{{Name: "chat", Credits: "412.5", Refunded: "2", Requests: 187}, {Name: "picture", Credits: "120", Requests: 12}, {Name: "todo", Credits: "0.62", Requests: 31}}
	credits.Entries = []pages.Entry{
		{At: at, Type: "usage", App: "chat", Description: "Chat: A poem about the sea", Operation: "ai_chat", Amount: "-2.5", Balance: "1234.567"},
		{At: at, Type: "usage", App: "picture", Description: "A picture of a lighthouse in the evening, with a very long description of all that is to be seen on it", Operation: "ai_image_generation", Amount: "-10", Balance: "1237.067"},
		{At: at, Type: "refund", App: "picture", Description: "The picture could not be made", Amount: "10", Balance: "1247.067", Incoming: true},
		{At: at, Type: "gift", App: "gift", Description: "Gift received: ABCDEF", Amount: "5", Balance: "1237.067", Incoming: true},
		{At: at, Type: "purchase", App: "stripe", Description: "Credit purchase: 1000 credits", Amount: "1000", Balance: "1232.067", Incoming: true},
	}
	credits.Lots = []pages.Lot{{Source: "subscription", Left: "84.5", CreatedAt: at, ExpiresAt: at.AddDate(0, 1, 3), RollsOver: "50"}, {Source: "gift", Left: "150.067", CreatedAt: at}, {Source: "purchase", Left: "1000", CreatedAt: at}}
	credits.Filter = pages.HistoryFilter{Types: entryTypes[:6], Apps: []string{"chat"}}
	packages := []pages.Package{
		{ID: "1", Name: "Small", Credits: "100", Cents: 100}, {ID: "2", Name: "Medium", Description: "Enough for a month", Credits: "500", Cents: 450}, {ID: "3", Name: "Large", Credits: "1000", Cents: 850},
	}
	plans := []pages.Plan{
		{ID: "1", Name: "Plus", Credits: "100", MonthlyCents: 499, YearlyCents: 4999, Features: []string{"100 AI credits", "All apps"}},
		{ID: "2", Name: "Pro", Credits: "500", MonthlyCents: 1199, YearlyCents: 11999, Features: []string{"500 AI credits", "Premium models"}},
	}
	perSeat := []pages.Plan{plans[0], plans[1]}
	perSeat[0].PerSeat, perSeat[0].RollsOver = true, "50"
	subscribed := []pages.Plan{plans[0], plans[1]}
	subscribed[0].Current = true
	made := pages.CreatedGift{ID: "1", Code: "K7M2PX", URL: "https://mana.how/g/K7M2PX", Status: "active", Message: "Happy birthday!", Total: "20", Portion: "5", Unclaimed: "15", Portions: 4, Claimed: 1, Expires: at.AddDate(0, 3, 0)}
	over := made
	over.Status, over.Code, over.Message, over.Claimed = "depleted", "ABCDEF", "", 4
	got := pages.ReceivedGift{Code: "QWERTZ", Credits: "5", Creator: "Grace", Message: "For your help", At: at}
	device := pages.Device{ID: "1", Name: "Firefox on Linux", UserAgent: "Mozilla/5.0", IPAddress: "192.0.2.1", LastSeen: at, Current: true}
	other := pages.Device{ID: "2", Name: "Safari on iPhone", UserAgent: "Mozilla/5.0", IPAddress: "2001:db8::1", LastSeen: at}
	all := map[string]pages.View{
		"login": pages.Login{}, "login-error": pages.Login{Email: "ada@example.test", Error: "INVALID_CREDENTIALS"}, "login-verified": pages.Login{Verified: true},
		"register": pages.Register{}, "verify": pages.Verify{Token: "x"}, "resend": pages.Resend{}, "forgot": pages.Forgot{}, "reset": pages.Reset{Token: "x"},
		"mailed": pages.Mailed{Email: "ada@example.test", About: "reset"}, "link": pages.Link{}, "confirm": pages.Confirm{About: "sign-in"},
		"two-factor": pages.TwoFactor{}, "reauthenticate": pages.Reauthenticate{Email: "ada@example.test", Password: true, Code: true, Mail: true},
		"security": pages.Security{Enabled: true, CodesLeft: 8, TrustedDevices: 1}, "security-setup": pages.Security{Setup: setup, BackupCodes: []string{"abcde-fghij", "klmno-pqrst"}},
		"account": pages.Account{Name: "Ada", NewName: "Ada", Email: "ada@example.test", Uploads: true},
		"email":   pages.Email{Email: "ada@example.test", Verified: true, Pending: "ada@new.example.test", Proof: pages.Proof{Recent: true}}, "password": pages.Password{Email: "ada@example.test", HasPassword: true},
		"passkeys": pages.Passkeys{Available: true, Proof: pages.Proof{Recent: true}, List: []pages.Passkey{{ID: "1", Name: "Phone", Created: at, LastUsed: at, Synced: true}}},
		"sessions": pages.Devices{List: []pages.Device{device, other}}, "securitylog": pages.Events{List: []pages.Event{{Type: "login_success", At: at, Device: "Firefox on Linux", IPAddress: "192.0.2.1"}}},
		"preferences": pages.Preferences{NewDevice: true}, "owndata": pages.OwnData{Email: "ada@example.test", Proof: pages.Proof{Password: true}}, "left": pages.Left{},
		"login-client": pages.Login{Client: "Grafana"}, "consent": pages.Consent{Name: "Grafana", Email: "ada@example.test", Code: "x", Scopes: []string{"openid", "profile", "email", "offline_access", "reports:read"}},
		"device": pages.DeviceCode{}, "device-ask": pages.DeviceCode{Code: "BCDF-GHJK", Name: "Telly", Email: "ada@example.test", Scopes: []string{"openid", "email"}}, "device-done": pages.DeviceCode{Decided: "allowed"},
		"signout": pages.SignOut{}, "signedout": pages.SignedOut{}, "apps": pages.Apps{List: []pages.App{
			{ID: "grafana", Name: "Grafana", Scopes: []string{"openid", "profile", "email"}, ConnectedAt: at, UsedAt: at, Sessions: 1}, {ID: "matrix-synapse", Name: "Matrix Chat", Scopes: []string{"openid"}, ConnectedAt: at, UsedAt: at, Trusted: true},
		}},
		"loop": pages.Loop{Site: "https://chat.example.test"}, "problem": pages.Problem{Code: "NOT_FOUND"}, "problem-500": pages.Problem{Code: "INTERNAL", RequestID: "6RE55SIM2YUGDJIZXNOALIIURM"},
		"credits": credits, "credits-empty": pages.Credits{Balance: "0", Chart: pages.NewChart([]time.Time{at}, []int64{0}, []string{"0"}), Sells: true, Filter: pages.HistoryFilter{Types: entryTypes[:6]}},
		"shop": pages.Shop{Balance: "12.5", Packages: packages, Plans: plans, Key: "x"}, "shop-error": pages.Shop{Balance: "0", Debt: "100", Packages: packages, Error: "TOO_MANY_OPEN_PURCHASES", Key: "x"},
		"shop-subscribed": pages.Shop{Balance: "100", Packages: packages, Plans: subscribed, Current: &pages.Subscription{Plan: "Plus", Status: "active", Until: at.AddDate(0, 1, 0)}, Key: "x", Portal: true, Card: &pages.Card{Brand: "Visa", Last4: "4242"}, ToppedUp: true},
		"shop-team":       pages.Shop{Balance: "0", Packages: packages, Plans: perSeat, Key: "x", Organization: "acme", Members: 3},
		"shop-team-subscribed": pages.Shop{Balance: "812.5", Packages: packages, Plans: perSeat, Key: "x", Organization: "acme", Members: 3, Portal: true,
			Current: &pages.Subscription{Plan: "Plus", Status: "active", Until: at.AddDate(0, 1, 0), Seats: 5}},
		"topup-none": pages.TopUp{Sells: true, Packages: packages, At: "/account/credits/auto-top-up"},
		"topup-off": pages.TopUp{Sells: true, Packages: packages, OffReason: "declined", Card: &pages.Card{Brand: "Visa", Last4: "4242", Month: 4, Year: 2029}, Threshold: "100", Cap: "50.00", CapCents: 5000,
			Proof: pages.Proof{Recent: true}, Error: "CONSENT_REQUIRED"},
		"topup-on": pages.TopUp{Enabled: true, Sells: true, Packages: packages, Card: &pages.Card{Brand: "Mastercard", Last4: "4444", Month: 12, Year: 2029}, Threshold: "100", Cap: "50.00", SpentCents: 999, CapCents: 5000,
			At: "/account/credits/auto-top-up", Waits: "confirm", Confirm: true, RunningCents: 999},
		"onward":          pages.Onward{URL: "https://checkout.stripe.com"},
		"organizations":   organizationsView("Teahouse"),
		"login-providers": pages.Login{Providers: buttons("Company login")}, "login-only": pages.Login{PasswordsOff: true, Providers: buttons("Company login")},
		"register-providers": pages.Register{Providers: buttons("Company login")},
		"signins": pages.SignIns{Proof: pages.Proof{Recent: true}, Providers: []pages.ProviderChoice{{ID: "google", Name: "Google"}, {ID: "github", Name: "GitHub"}},
			List: []pages.SignInAccount{{ID: "1", Provider: "Google", Email: "ada@example.test", Linked: at, LastUsed: at}}},
		"provider-failed": pages.ProviderFailed{Provider: "Google", Code: "PROVIDER_UNAVAILABLE", Retry: "/api/auth/sign-in/social/google", Back: "/login"},
		"address":         pages.Address{Provider: "GitHub", Token: "x"},
		"team":            teamView("Teahouse"),
		"gifts-coupon":    pages.Gifts{Balance: "105", Coupon: &pages.RedeemedCoupon{Name: "Spring", Credits: "10", At: at, Expires: at.AddDate(0, 1, 0)}, Coupons: []pages.RedeemedCoupon{{Name: "Spring", Credits: "10", At: at, Expires: at.AddDate(0, 1, 0)}}},
		"gifts":           pages.Gifts{Balance: "95", Created: []pages.CreatedGift{made, over}, Received: []pages.ReceivedGift{got}, Made: &made, Order: pages.GiftOrder{}},
		"gifts-held":      pages.Gifts{Balance: "95", Created: []pages.CreatedGift{made, over}, Held: at},
		"gifts-error":     pages.Gifts{Balance: "5", MakeError: "INSUFFICIENT_CREDITS", Order: pages.GiftOrder{Credits: "10", Target: "bob@example.test"}, Error: "GIFT_CLAIMED"},
		"gift":            pages.Gift{Code: "K7M2PX", Status: "active", Credits: "5", Portions: 4, Left: 3, Creator: "Ada", Message: "Happy birthday!", Riddle: "What is the answer to everything?", User: "bob@example.test", Key: "x", Expires: at},
		"gift-guest":      pages.Gift{Code: "K7M2PX", Status: "active", Credits: "5", Creator: "Ada", Message: "Happy birthday!", Expires: at}, "gift-unknown": pages.Gift{},
		"gate-forbidden": pages.Notice{Code: "FORBIDDEN"}, "gate-rate-limit": pages.Notice{Code: "RATE_LIMITED", Wait: 42 * time.Second}, "gate-bad-gateway": pages.Notice{Code: "BAD_GATEWAY", Wait: 5 * time.Second},
		"gate-loop": pages.Notice{Code: "SIGN_IN_LOOP", SignIn: "https://auth.example.test/login"}, "gate-unverified": pages.Notice{Code: "EMAIL_NOT_VERIFIED", Resend: "https://auth.example.test/resend-verification"},
		"gate-shortfall": pages.Shortfall{Required: "12.5", Available: "4.25", Missing: "8.25", Debt: "1", Sells: true, Buy: "https://auth.example.test/account/credits/buy"},
		"gate-price":     pages.Price{Credits: "2.5", AtMost: true, URL: "https://chat.example.test/x"},
		"docs": pages.Docs{Version: "v1.2.3", Errors: []pages.DocError{{Code: "INSUFFICIENT_CREDITS", Status: "402", Texts: []string{"Insufficient credits"}, Advice: "say what is lacking (details) and offer to buy"}}, Groups: []pages.DocGroup{{Name: "credits", Anchor: "credits", Routes: []pages.DocRoute{{Method: "GET", Path: "/api/v1/credits/balance", Summary: "The caller's balance", Access: "Bearer token", Try: "bearer",
			Curl: "curl \\\n  'https://auth.example.test/api/v1/credits/balance' \\\n  -H \"Authorization: Bearer $MANA_TOKEN\"", TypeScript: `const answer = await mana.call("GET", "/api/v1/credits/balance");`}}}}},
	}
	maps.Copy(all, deskGallery())
	return all
}

// TestShots makes a picture of every page: at the width of a phone and of a desk,
// light and dark, in German and English. Without the flag it only sees to it that
// the gallery has every page.
func TestShots(t *testing.T) {
	t.Parallel()
	p, brand := branded(t)
	shown := make(map[string]bool)
	for _, v := range gallery() {
		shown[fmt.Sprintf("%T", v)] = true
	}
	for _, v := range views() {
		if !shown[fmt.Sprintf("%T", v)] {
			t.Errorf("the gallery has no %T", v)
		}
	}
	if *shots == "" {
		return
	}
	if err := os.MkdirAll(*shots, 0o750); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
	browser, stop := chromedp.NewExecAllocator(t.Context(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(browser)
	defer cancel()
	logo := brand.Shown()
	picture := "data:" + logo.Type + ";base64," + base64.StdEncoding.EncodeToString(logo.Content)
	for name, v := range gallery() {
		for _, language := range []pages.Language{pages.German, pages.English} {
			out, _, err := p.Show(pages.Visit{Language: language, Query: map[string][]string{}}, v)
			if err != nil {
				t.Fatal(err)
			}
			html := strings.ReplaceAll(string(out), logo.Path(), picture)
			for size, width := range map[string]int64{"phone": 390, "narrow": 320, "desk": 1280} {
				for _, scheme := range []string{"light", "dark"} {
					if size == "narrow" && scheme == "dark" {
						continue
					}
					file := filepath.Join(*shots, fmt.Sprintf("%s.%s.%s.%s.png", name, language, size, scheme))
					if err := shoot(ctx, html, width, scheme, file); err != nil {
						t.Errorf("%s: %v", file, err)
					}
				}
			}
		}
	}
}

// branded are the pages of a family with all that a brand can have.
func branded(t *testing.T) (*pages.Pages, pages.Brand) {
	t.Helper()
	brand := pages.Brand{Name: "Mana", Imprint: "https://example.test/imprint", Privacy: "https://example.test/privacy", Support: "mailto:help@example.test"}
	return newPages(t).With(brand), brand
}

// show has the browser show a page.
func show(ctx context.Context, html string, width int64, scheme string) error {
	return chromedp.Do(ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate("about:blank"),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			if err != nil {
				return err
			}
			tree, err := cdp.Call(ctx, t, page.GetFrameTree, cdp.Empty{})
			if err != nil {
				return err
			}
			_, err = cdp.Call(ctx, t, page.SetDocumentContent, page.SetDocumentContentParams{FrameID: tree.FrameTree.Frame.ID, HTML: html})
			return err
		}))
}

// shoot writes a picture of the whole page, and fails where it is wider than the
// window.
func shoot(ctx context.Context, html string, width int64, scheme, file string) error {
	if err := show(ctx, html, width, scheme); err != nil {
		return err
	}
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
	if err != nil {
		return err
	}
	if wide > width {
		return fmt.Errorf("the page is %d wide, the window %d", wide, width)
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err
	}
	return os.WriteFile(file, picture, 0o600)
}
