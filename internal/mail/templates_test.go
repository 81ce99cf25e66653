package mail_test

import (
	"errors"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/mail"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// templates are those of dir at noon.
func templates(t *testing.T, dir string) *mail.Templates {
	t.Helper()
	all, err := mail.NewTemplates(dir)
	if err != nil {
		t.Fatal(err)
	}
	all.Now = func() time.Time { return noon }
	return all
}

func render(t *testing.T, k mail.Kind, language string, d mail.Data) mail.Letter {
	t.Helper()
	letter, err := templates(t, "").Render(k, language, d)
	if err != nil {
		t.Fatalf("%s in %q: %v", k, language, err)
	}
	return letter
}

// full is what a mail of any kind may tell.
func full() mail.Data {
	return mail.Data{
		Name: "Ada", Email: "ada@example.com", Link: "https://mana.example/do?token=abc&x=1", UndoLink: "https://mana.example/undo?token=def",
		ResetLink: "https://mana.example/reset", Code: "13572468", Organization: "Analytical Engines", Inviter: "Charles Babbage",
		Factor: "passkey", Device: "Firefox, Linux", Address: "192.0.2.7", Amount: "12.5", Limit: "99.25", Price: "9.99", Reason: "declined", APIKey: "Loom", Message: "Für dich & mich",
		Expires: noon.Add(24 * time.Hour), At: noon.Add(-time.Minute),
	}
}

// subjects by kind, and whether a mail of it shows Link, UndoLink, ResetLink,
// Code, Validity (or Until alone).
var kinds = map[mail.Kind]struct {
	de, en string
	shows  string
}{
	mail.VerifyEmail:         {"E-Mail bestätigen - ManaCore", "Confirm your email - ManaCore", "link validity facts"},
	mail.ResetPassword:       {"Passwort zurücksetzen - ManaCore", "Reset your password - ManaCore", "link validity facts"},
	mail.PasswordChanged:     {"Dein Passwort wurde geändert - ManaCore", "Your password was changed - ManaCore", "reset facts"},
	mail.ConfirmAddress:      {"Neue E-Mail-Adresse bestätigen - ManaCore", "Confirm your new email address - ManaCore", "link validity facts"},
	mail.AddressChanging:     {"Deine E-Mail-Adresse wurde geändert - ManaCore", "Your email address was changed - ManaCore", "undo validity facts"},
	mail.AddressChangeUndone: {"Deine E-Mail-Adresse ist wieder die alte - ManaCore", "Your email address is the old one again - ManaCore", "reset facts"},
	mail.AccountExists:       {"Du hast schon ein Konto - ManaCore", "You already have an account - ManaCore", "link reset facts"},
	mail.FactorAdded:         {"Neue Anmeldemöglichkeit eingerichtet - ManaCore", "A way to sign in was added - ManaCore", "reset facts"},
	mail.FactorRemoved:       {"Anmeldemöglichkeit entfernt - ManaCore", "A way to sign in was removed - ManaCore", "reset facts"},
	mail.BackupCodesRenewed:  {"Neue Backup-Codes - ManaCore", "New backup codes - ManaCore", "reset facts"},
	mail.NewDevice:           {"Anmeldung von einem neuen Gerät - ManaCore", "Sign-in from a new device - ManaCore", "link reset facts"},
	mail.AccountLocked:       {"Anmeldung vorübergehend gesperrt - ManaCore", "Sign-in paused for a while - ManaCore", "until reset facts"},
	mail.MagicLink:           {"Dein Link zum Anmelden - ManaCore", "Your link to sign in - ManaCore", "link code validity facts"},
	mail.Invitation:          {"Einladung zu Analytical Engines - ManaCore", "Invitation to Analytical Engines - ManaCore", "link validity inviter"},
	mail.AccountInvitation:   {"Einladung zu ManaCore", "Invitation to ManaCore", "link validity"},
	mail.GiftReceived:        {"Du hast ein Geschenk erhalten - ManaCore", "You received a gift - ManaCore", "link code validity inviter amount message"},
	mail.AccountDeleted:      {"Dein ManaCore-Konto wurde gelöscht", "Your ManaCore account was deleted", "message"},
	mail.CreditsLow:          {"Deine Credits gehen zur Neige - ManaCore", "Your credits are running low - ManaCore", "link amount limit"},
	mail.CreditsExhausted:    {"Deine Credits haben nicht gereicht - ManaCore", "You did not have enough credits - ManaCore", "link amount limit"},
	mail.CreditsExpiring:     {"Credits verfallen bald - ManaCore", "Credits end soon - ManaCore", "link validity amount"},
	mail.CreditsPurchased:    {"Deine Credits sind da - ManaCore", "Your credits are here - ManaCore", "link amount"},
	mail.BudgetReached:       {"Ein Budget ist aufgebraucht - ManaCore", "A budget is spent - ManaCore", "link limit key"},
	mail.DebtMade:            {"Dein Konto hat offene Credits - ManaCore", "Your account owes credits - ManaCore", "link amount"},
	mail.RenewalFailed:       {"Eine Zahlung für dein Abo ist fehlgeschlagen - ManaCore", "A payment of your subscription has failed - ManaCore", "link"},
	mail.ToppedUp:            {"Deine Credits wurden aufgeladen - ManaCore", "Your credits were topped up - ManaCore", "link amount price"},
	mail.TopUpConfirm:        {"Bitte bestätige eine Zahlung - ManaCore", "Please confirm a payment - ManaCore", "link amount price"},
	mail.TopUpFailed:         {"Deine Karte wurde abgelehnt - ManaCore", "Your card was declined - ManaCore", "link amount price"},
	mail.TopUpCapped:         {"Das Monatslimit ist erreicht - ManaCore", "The monthly limit is reached - ManaCore", "link price"},
	mail.TopUpOff:            {"Automatisches Aufladen ist aus - ManaCore", "Automatic top-up is off - ManaCore", "link reason"},
}

func TestEveryKind(t *testing.T) {
	t.Parallel()
	d := full()
	for k, want := range kinds {
		for language, subject := range map[string]string{"de": want.de, "en": want.en} {
			t.Run(string(k)+" "+language, func(t *testing.T) {
				letter := render(t, k, language, d)
				if letter.Subject != subject || letter.To != d.Email || letter.Kind != string(k) {
					t.Errorf("subject %q, to %q, kind %q", letter.Subject, letter.To, letter.Kind)
				}
				german := language == "de"
				pick := func(de, en string) string {
					if german {
						return de
					}
					return en
				}
				if !strings.HasPrefix(letter.Text, pick("Hallo Ada,\n\n", "Hello Ada,\n\n")) {
					t.Errorf("greeting: %q", letter.Text)
				}
				var links []string
				for what, link := range map[string]string{"link": d.Link, "undo": d.UndoLink, "reset": d.ResetLink} {
					n := 0
					if strings.Contains(want.shows, what) {
						n = 1
						links = append(links, link)
					}
					if got := strings.Count("\n"+letter.Text, "\n"+link+"\n"); got != n || strings.Count(letter.Text, link) != n {
						t.Errorf("%s stands %d times on a line of its own, want %d:\n%s", what, got, n, letter.Text)
					}
					href := `href="` + html.EscapeString(link) + `"`
					if got := strings.Count(letter.HTML, href); got != n {
						t.Errorf("%d times %s, want %d:\n%s", got, href, n, letter.HTML)
					}
				}
				if len(letter.Links) != len(links) {
					t.Errorf("links %q, want %q", letter.Links, links)
				}
				shown := html.UnescapeString(letter.HTML)
				for what, text := range map[string]string{
					"code": d.Code, "validity": pick("24 Stunden", "24 hours"),
					"until": pick("29.11.2026, 12:00 Uhr (UTC)", "29 November 2026, 12:00 (UTC)"),
					"facts": "Firefox, Linux", "inviter": "Charles Babbage", "amount": pick("12,5 Credits", "12.5 credits"), "message": d.Message,
					"limit": pick("99,25", "99.25"), "price": pick("9,99 €", "€9.99"), "reason": pick("mehrmals abgelehnt", "declined several times"), "key": "Loom",
				} {
					expected := strings.Contains(want.shows, what) || what == "until" && strings.Contains(want.shows, "validity")
					if strings.Contains(letter.Text, text) != expected || strings.Contains(shown, text) != expected {
						t.Errorf("shows %s %q: text %t, HTML %t, want %t", what, text, strings.Contains(letter.Text, text), strings.Contains(shown, text), expected)
					}
				}
				if strings.Contains(want.shows, "facts") && (!strings.Contains(letter.Text, pick("28.11.2026, 11:59 Uhr", "28 November 2026, 11:59")) || !strings.Contains(letter.Text, "192.0.2.7")) {
					t.Errorf("time and network are missing:\n%s", letter.Text)
				}
				checkForm(t, letter)
				// Each line of the text stands in the HTML part.
				for line := range strings.Lines(letter.Text) {
					line = strings.TrimSuffix(strings.TrimSpace(line), ":")
					if line != "" && line != "--" && !strings.Contains(shown, line) {
						t.Errorf("the HTML part lacks %q", line)
					}
				}

				d := mail.Data{Email: "ada@example.com", Link: d.Link, Code: d.Code, Expires: d.Expires}
				least := render(t, k, language, d)
				checkForm(t, least)
				if !strings.HasPrefix(least.Text, pick("Hallo ada,", "Hello ada,")) {
					t.Errorf("greeting without a name: %q", least.Text)
				}
			})
		}
	}
}

var oddities = regexp.MustCompile(`\{\{|\}\}|<no value>|%!|\n\n\n|[ \t]\n|  |„“|“”|\.\.|,\.`)

func checkForm(t *testing.T, letter mail.Letter) {
	t.Helper()
	if found := oddities.FindString(letter.Text); found != "" {
		t.Errorf("%q in the text:\n%s", found, letter.Text)
	}
	if strings.ContainsAny(letter.Text, "\r") || !strings.HasSuffix(letter.Text, "\n") {
		t.Errorf("text %q", letter.Text)
	}
	for _, want := range []string{"<!DOCTYPE html>", `<html lang="`, `name="color-scheme" content="light dark"`, "</html>"} {
		if !strings.Contains(letter.HTML, want) {
			t.Errorf("HTML without %s", want)
		}
	}
	for _, never := range []string{"<table", "<img", "<script", "<link", "url(", "ZgotmplZ", "@import", "<no value>"} {
		if strings.Contains(letter.HTML, never) {
			t.Errorf("HTML with %s", never)
		}
	}
}

func TestAddressChangeBeforeItCounts(t *testing.T) {
	t.Parallel()
	letter := render(t, mail.AddressChanging, "de", mail.Data{Email: "ada@example.com", ResetLink: "https://mana.example/reset"})
	if letter.Subject != "Deine E-Mail-Adresse soll geändert werden - ManaCore" || !strings.Contains(letter.Text, "sobald sie bestätigt ist") ||
		!strings.Contains(letter.Text, "\nhttps://mana.example/reset\n") {
		t.Errorf("%s\n%s", letter.Subject, letter.Text)
	}
}

func TestDefaultsOfInvitations(t *testing.T) {
	t.Parallel()
	letter := render(t, mail.Invitation, "de", mail.Data{Email: "ada@example.com", Link: "https://mana.example/i", Expires: noon.Add(48 * time.Hour)})
	if letter.Subject != "Einladung zu einer Organisation - ManaCore" || !strings.Contains(letter.Text, "Ein Teammitglied") || !strings.Contains(letter.Text, "gilt 2 Tage") {
		t.Errorf("%s\n%s", letter.Subject, letter.Text)
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{
		"": "Hallo", "de": "Hallo", "de-AT": "Hallo", "DE_ch": "Hallo", "fr": "Hallo", "tlh": "Hallo", "english": "Hallo", "../en": "Hallo",
		"en": "Hello", "en-GB": "Hello", "EN": "Hello", "en_US.UTF-8": "Hello", "en-Latn-x-private": "Hello",
	} {
		if letter := render(t, mail.PasswordChanged, language, full()); !strings.HasPrefix(letter.Text, want+" ") {
			t.Errorf("%q: %.20q", language, letter.Text)
		}
	}
}

func TestBrand(t *testing.T) {
	t.Parallel()
	d := full()
	d.Brand = "Notes"
	letter := render(t, mail.AccountDeleted, "de", d)
	if letter.Subject != "Dein Notes-Konto wurde gelöscht" || strings.Contains(letter.Text+letter.HTML, "ManaCore") {
		t.Errorf("%s\n%s", letter.Subject, letter.Text)
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]string{
		10 * time.Minute: "10 Minuten", 10*time.Minute - 20*time.Second: "10 Minuten", 9*time.Minute + 10*time.Second: "9 Minuten",
		time.Second: "1 Minute", 90 * time.Minute: "90 Minuten", time.Hour: "1 Stunde", 61 * time.Minute: "61 Minuten",
		24 * time.Hour: "24 Stunden", 24*time.Hour - time.Minute: "23 Stunden", 7 * 24 * time.Hour: "7 Tage", 47 * time.Hour: "47 Stunden",
	} {
		d := full()
		d.Expires = noon.Add(left)
		if letter := render(t, mail.ResetPassword, "de", d); !strings.Contains(letter.Text, "Der Link gilt "+want+", bis ") {
			t.Errorf("%s: want %q in\n%s", left, want, letter.Text)
		}
	}
	for _, left := range []time.Duration{0, -time.Hour} {
		d := full()
		d.Expires = noon.Add(left)
		if _, err := templates(t, "").Render(mail.ResetPassword, "de", d); !errors.Is(err, mail.ErrExpired) {
			t.Errorf("%s left: %v", left, err)
		}
	}
}

func TestWhatAMailCannotDoWithout(t *testing.T) {
	t.Parallel()
	all := templates(t, "")
	for name, c := range map[string]struct {
		kind mail.Kind
		d    mail.Data
		want string
	}{
		"no link":     {mail.VerifyEmail, mail.Data{Expires: noon.Add(time.Hour)}, "Link"},
		"no validity": {mail.VerifyEmail, mail.Data{Link: "https://mana.example"}, "Expires"},
		"no code":     {mail.MagicLink, mail.Data{Link: "https://mana.example", Expires: noon.Add(time.Hour)}, "Code"},
		"code":        {mail.GiftReceived, mail.Data{Link: "https://mana.example", Code: "1 2\n3"}, "Code"},
		"kind":        {"newsletter", mail.Data{}, "newsletter"},
		"no kind":     {"", mail.Data{}, "kind"},
		"path":        {"../verify_email", mail.Data{}, "kind"},
	} {
		if _, err := all.Render(c.kind, "de", c.d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, link := range []string{
		"javascript:alert(1)", "//evil.example", "/login", "ftp://mana.example", "https://", "https:mana.example", "https://a b", "https://user:pass@mana.example",
		"https://mana.example/\nBcc: x", "https://mana.example/\"><script>", "https://mana.example/\u202e", "https://mana.example/`", "data:text/html,x",
	} {
		for _, d := range []mail.Data{{Link: link}, {UndoLink: link}, {ResetLink: link}} {
			if d.Link == "" {
				d.Link = "https://mana.example"
			}
			d.Expires = noon.Add(time.Hour)
			if _, err := all.Render(mail.VerifyEmail, "de", d); err == nil || !strings.Contains(err.Error(), "must be an http or https URL") {
				t.Errorf("%q: %v", link, err)
			}
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReplacedTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "verify_email.de.txt", "\ufeffSubject: Hereinspaziert, {{.Brand}}!\r\n\r\n{{.Greeting}}\r\n\r\nHier entlang:\r\n{{.Link}}\r\n")
	write(t, dir, "reset_password.en.html", `<p title="{{.Device}}">{{.Greeting}} <a href="{{.Link}}">go</a> {{.Validity}}</p>`)
	write(t, dir, "partials.en.txt", `{{define "facts"}}{{end}}{{define "not_me"}}{{end}}{{define "footer"}}Yours{{end}}`)
	write(t, dir, "README.md", "notes of the administrator")
	all := templates(t, dir)
	d := full()
	letter, err := all.Render(mail.VerifyEmail, "de", d)
	if err != nil || letter.Subject != "Hereinspaziert, ManaCore!" || letter.Text != "Hallo Ada,\n\nHier entlang:\n"+d.Link+"\n" {
		t.Errorf("%q\n%q\n%v", letter.Subject, letter.Text, err)
	}
	if !strings.Contains(letter.HTML, ">Hier entlang</a>") {
		t.Errorf("HTML:\n%s", letter.HTML)
	}
	d.Name, d.Device = "<b>Ada", `"><script>`
	letter, err = all.Render(mail.ResetPassword, "en", d)
	want := `<p title="&#34;&gt;&lt;script&gt;">Hello &lt;b&gt;Ada, <a href="https://mana.example/do?token=abc&amp;x=1">go</a> 24 hours</p>`
	if err != nil || letter.HTML != want || !strings.HasSuffix(letter.Text, "\n\nYours\n") {
		t.Errorf("%v\n%s\nwant\n%s\n%s", err, letter.HTML, want, letter.Text)
	}
	if letter, err = all.Render(mail.ResetPassword, "de", full()); err != nil || !strings.Contains(letter.HTML, "<!DOCTYPE html>") {
		t.Errorf("what was not replaced: %v", err)
	}
	layout := t.TempDir()
	write(t, layout, "layout.html", `<h1>{{.Brand}}</h1>{{range .Blocks}}{{.Link}}{{.Code}}{{end}}`)
	if letter, err = templates(t, layout).Render(mail.MagicLink, "de", full()); err != nil ||
		letter.HTML != "<h1>ManaCore</h1>https://mana.example/do?token=abc&amp;x=113572468" {
		t.Errorf("%v\n%s", err, letter.HTML)
	}
}

func TestBrokenTemplates(t *testing.T) {
	t.Parallel()
	const begin = "Subject: x\n\n{{.Link}}\n"
	for name, c := range map[string]struct{ file, text, want string }{
		"syntax":                      {"verify_email.de.txt", begin + "{{if}}", "verify_email.de.txt:4"},
		"no such function":            {"verify_email.de.txt", begin + "\n{{shout .Brand}}", "verify_email.de.txt:5"},
		"no such field":               {"verify_email.de.txt", begin + "{{.Password}}", "verify_email.de.txt:4"},
		"in a branch that is not run": {"verify_email.de.txt", begin + "{{if false}}\n{{.Password}}{{end}}", "verify_email.de.txt:5"},
		"by the variable":             {"verify_email.de.txt", begin + "{{with .Name}}{{end}}", "verify_email.de.txt:4"},
		"of a field":                  {"verify_email.de.txt", begin + "{{.Link.Host}}", "verify_email.de.txt:4"},
		"at the root":                 {"verify_email.de.txt", begin + "{{if false}}{{$.Password}}{{end}}", "verify_email.de.txt:4"},
		"as an argument":              {"verify_email.de.txt", begin + "{{printf \"%s\" (print .Password)}}", "verify_email.de.txt:4"},
		"no partial":                  {"verify_email.de.txt", begin + "{{template \"head\" .}}", "verify_email.de.txt:4"},
		"fails":                       {"verify_email.de.txt", begin + "{{slice .Link 9999}}", "verify_email.de.txt:4"},
		"no subject":                  {"verify_email.de.txt", "Betreff: x\n\n{{.Link}}\n", "verify_email.de.txt:1"},
		"empty subject":               {"verify_email.de.txt", "Subject: {{if false}}x{{end}}\n\n{{.Link}}\n", "verify_email.de.txt:1"},
		"no empty line":               {"verify_email.de.txt", "Subject: x\n{{.Link}}\n\nmore", "verify_email.de.txt:1"},
		"no text":                     {"password_changed.de.txt", "Subject: x\n\n\n", "password_changed.de.txt:1"},
		"no link":                     {"verify_email.de.txt", "Subject: x\n\nHello\n", "does not show {{.Link}}"},
		"no code":                     {"magic_link.en.txt", begin, "does not show {{.Code}}"},
		"partials":                    {"partials.en.txt", "\n{{define \"facts\"}}{{.Nothing}}{{end}}", "partials.en.txt:2"},
		"fewer partials":              {"partials.en.txt", "", "\"footer\" not defined"},
		"page":                        {"verify_email.en.html", "<p>\n{{.Password}}</p>", "verify_email.en.html:2"},
		"page without the link":       {"verify_email.en.html", "<p></p>", "HTML part"},
		"page that cannot be escaped": {"verify_email.en.html", "{{.Link}}\n<a href='{{if .Code}}'{{end}}>", "verify_email.en.html:2"},
		"layout":                      {"layout.html", "{{range .Blocks}}\n{{.Picture}}{{end}}", "layout.html:2"},
		"a mail that is none":         {"verifyemail.de.txt", begin, "verifyemail.de.txt"},
		"a language that is none":     {"verify_email.fr.txt", begin, "verify_email.fr.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.file, c.text)
			if _, err := mail.NewTemplates(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %s", err, c.want)
			}
		})
	}
	if _, err := mail.NewTemplates(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("a directory that does not exist is taken")
	}
}
