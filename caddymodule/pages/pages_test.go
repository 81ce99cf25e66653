package pages_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"mana.how/edge/caddymodule/pages"
)

func views() []pages.View {
	return []pages.View{
		pages.Login{Email: attack, ReturnURL: attack, Error: "INVALID_CREDENTIALS"},
		pages.Register{Name: attack, Email: attack, ReturnURL: attack, Error: attack},
		pages.Verify{Token: attack, RedirectTo: attack}, pages.Resend{Email: attack, Error: attack}, pages.Forgot{Email: attack, Error: attack},
		pages.Reset{Token: attack, Error: attack}, pages.Mailed{Email: attack, About: attack}, pages.Mailed{Email: attack, About: "verify"},
		pages.Login{Email: attack, Error: "EMAIL_NOT_VERIFIED", Verified: true, Reset: true}, pages.Notice{Code: "EMAIL_NOT_VERIFIED", Resend: attack}, pages.Notice{Code: "ORG_REQUIRED"},
		pages.Account{Name: attack, Email: attack, Devices: []pages.Device{
			{ID: attack, Name: attack, UserAgent: attack, IPAddress: attack, LastSeen: time.Unix(0, 0)}, {Current: true, App: true},
		}},
		pages.Loop{Site: attack},
		pages.Gift{Code: attack, Status: "active", Credits: attack, Portions: 2, Creator: attack, Message: attack, Riddle: attack, Personalized: true, Expires: time.Unix(0, 0)},
		pages.Login{Closed: true}, pages.Gift{Status: "active", Closed: true}, pages.Gift{}, pages.Gift{Status: "depleted"}, pages.Gift{Status: "expired"}, pages.Gift{Status: "cancelled"}, pages.Gift{Status: "refunded"},
		pages.Problem{Code: attack, RequestID: attack},
		pages.Price{Credits: attack, URL: attack}, pages.Price{Credits: "1", AtMost: true, URL: "https://chat.example.test/x"},
		pages.Notice{Code: attack, SignIn: attack}, pages.Notice{},
		pages.Docs{Version: attack, Groups: []pages.DocGroup{{Name: attack, Routes: []pages.DocRoute{
			{Method: attack, Path: attack, Summary: attack, Access: attack, Limit: attack,
				Fields: []pages.DocField{{Name: attack, Type: attack, Rules: attack, Optional: true}}},
		}}}},
	}
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
	key := regexp.MustCompile(`>\s*(title|field|hint|login|register|account|loop|gift|problem|price|notice|docs)\.[a-zA-Z]+`)
	for _, lang := range []pages.Language{pages.German, pages.English} {
		for _, v := range views() {
			out, nonce, err := p.Render(lang, v)
			if err != nil {
				t.Fatal(err)
			}
			page := string(out)
			if strings.Contains(page, "<script") || strings.Count(page, "<img") != 1 {
				t.Errorf("%T lets markup through: %s", v, page)
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
