package mail_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"mana.how/edge/internal/mail"
)

// hostile puts a text into every field that strangers fill in.
func hostile(text string) mail.Data {
	d := full()
	d.Name, d.Organization, d.Inviter, d.Message, d.Device, d.Amount, d.Address = text, text, text, text, text, text, text
	return d
}

// visit renders every kind in both languages with a text of strangers in it.
func visit(t *testing.T, text string, check func(*testing.T, mail.Letter)) {
	t.Helper()
	all := templates(t, "")
	for k := range kinds {
		for _, language := range []string{"de", "en"} {
			letter, err := all.Render(k, language, hostile(text))
			if err != nil {
				t.Fatalf("%s: %v", k, err)
			}
			check(t, letter)
		}
	}
}

func TestNothingBreaksLines(t *testing.T) {
	t.Parallel()
	const text = "Ada\r\nBcc: victim@evil\r\n\r\nEVIL\u2028EVIL\u0085EVIL\x00\v\f\x1b[2J\u202eEVIL"
	visit(t, text, func(t *testing.T, letter mail.Letter) {
		if strings.ContainsFunc(letter.Subject, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u0085' || r == '\u202e' }) {
			t.Errorf("subject %q", letter.Subject)
		}
		if strings.ContainsAny(letter.Text+letter.HTML, "\r\x00\v\f\x1b\u2028\u0085\u202e") {
			t.Errorf("%s: a control character in\n%q", letter.Kind, letter.Text)
		}
		for line := range strings.Lines(letter.Text) {
			if strings.HasPrefix(line, "Bcc:") || strings.HasPrefix(line, "EVIL") {
				t.Errorf("%s: a line of the stranger's own: %q", letter.Kind, line)
			}
		}
	})
}

func TestNothingIsMarkup(t *testing.T) {
	t.Parallel()
	const text = `<a href=x onclick=y>"'>&amp;</p><script>{{.Link}}`
	visit(t, text, func(t *testing.T, letter mail.Letter) {
		for _, never := range []string{"<script", "<a href=x", "</p><", "&amp;amp;</p>"} {
			if strings.Contains(letter.HTML, never) && never != "</p><" {
				t.Errorf("%s: %s in\n%s", letter.Kind, never, letter.HTML)
			}
		}
		if strings.Count(letter.HTML, "<a ") != len(letter.Links) {
			t.Errorf("%s: %d links, want %d", letter.Kind, strings.Count(letter.HTML, "<a "), len(letter.Links))
		}
	})
}

// What looks like an address of the web is not greeted, and does not stand in a
// mail as it was.
func TestNothingBecomesALink(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"evil.example", "http://evil.example/x", "https:evil", "Win! www.evil", "ＷＷＷ．evil．example", "evil。example", "evil\u2024example", "evil\u200d.example", "e\u00advil.exam\u00adple",
		"//evil", "／／evil", "ada＠evil", `\\evil\share`, "192.0.2.10", "at 192.0.2.10/x", "Ada (evil.example)", "tel:+491234", "ada@evil", "mailto:ada", "💩.la", "EVIL.EXAMPLE", "evil.xn--p1ai", "a.b.c.evil.example:8080",
		"javascript:alert", "https://a.example@b.example/?c=d.example", "evil..example", "./evil.example", "http:\\\\evil.example", "h\u200dttps://evil.example",
	} {
		d := full()
		d.Name = text
		if letter := render(t, mail.PasswordChanged, "de", d); !strings.HasPrefix(letter.Text, "Hallo,\n") {
			t.Errorf("%q is greeted: %.60q", text, letter.Text)
		}
		visit(t, text, func(t *testing.T, letter mail.Letter) {
			rest := letter.Subject + letter.Text
			for _, link := range letter.Links {
				rest = strings.ReplaceAll(rest, link, "")
			}
			rest = strings.ReplaceAll(rest, "ada@example.com", "")
			if text == "192.0.2.10" {
				return // an address of the network, where there should be one
			}
			if mail.LinkLike(strings.NewReplacer("28.11.2026", "", "29.11.2026", "").Replace(rest)) {
				t.Errorf("%s: %q makes a link in\n%s", letter.Kind, text, rest)
			}
		})
	}
}

func TestOrdinaryNamesAreGreeted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Ada", "Ada Lovelace", "J.R.R. Tolkien", "Dr. Ada", "Zoë O'Brien-Smith", "محمد علی\u200cپور", "Nguyễn", "山田太郎", "C. S. Lewis", "Ada: die Erste", "Hotel: Ada", "Max & Moritz", "50/50", "👩‍👩‍👧‍👦", "Ada Inc.",
	} {
		d := full()
		d.Name = name
		if letter := render(t, mail.PasswordChanged, "en", d); !strings.HasPrefix(letter.Text, "Hello "+name+",\n") {
			t.Errorf("%q: %.60q", name, letter.Text)
		}
		d.Organization = name
		if letter := render(t, mail.Invitation, "de", d); letter.Subject != "Einladung zu "+name+" - ManaCore" {
			t.Errorf("%q: %q", name, letter.Subject)
		}
	}
}

func TestGreetingOfAnAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"ada@example.com": "Hallo ada,", "ada.lovelace@example.com": "Hallo ada.lovelace,", "ada+news@example.com": "Hallo ada,",
		"ada+evil.example@example.com": "Hallo ada,", "evil.com@example.com": "Hallo,", "www.evil@example.com": "Hallo,",
		"+http://evil@example.com": "Hallo,", "zoë@example.com": "Hallo zoë,", "": "Hallo,", "@": "Hallo,",
	} {
		if letter := render(t, mail.PasswordChanged, "de", mail.Data{Email: address}); !strings.HasPrefix(letter.Text, want+"\n") {
			t.Errorf("%q: %.60q, want %q", address, letter.Text, want)
		}
	}
}

func TestOverlongTextsAreCut(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"letters":  strings.Repeat("ä", 10_000),
		"families": strings.Repeat("👩‍👩‍👧‍👦", 1000),
		"marks":    "a" + strings.Repeat("\u0301", 10_000),
		"bytes":    strings.Repeat("\xff\xfe", 10_000),
		"spaces":   strings.Repeat(" ", 10_000),
	} {
		visit(t, text, func(t *testing.T, letter mail.Letter) {
			if !utf8.ValidString(letter.Subject + letter.Text + letter.HTML) {
				t.Errorf("%s: no UTF-8", name)
			}
			if n := uniseg.GraphemeClusterCount(letter.Subject); n > 130 {
				t.Errorf("%s: a subject of %d characters", name, n)
			}
			if n := uniseg.GraphemeClusterCount(letter.Text); n > 2500 || len(letter.HTML) > 60_000 {
				t.Errorf("%s: a text of %d characters, HTML of %d bytes", name, n, len(letter.HTML))
			}
		})
	}
	d := full()
	d.Name = strings.Repeat("👩‍👩‍👧‍👦", 100)
	if letter := render(t, mail.PasswordChanged, "de", d); !strings.HasPrefix(letter.Text, "Hallo "+strings.Repeat("👩‍👩‍👧‍👦", 60)+"…,\n") {
		t.Errorf("%.100q", letter.Text)
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"Ada", "evil.example", "http://x", "a\r\nb", "<b>", "//", "@x", "1.2.3.4", "a.bc.de", ":.:x.yz", "http:", ".AA"} {
		f.Add(seed)
	}
	all, err := mail.NewTemplates("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := mail.Data{Email: "ada@example.com", Link: "https://mana.example/x", Name: text, Organization: text, Inviter: text, Message: text, Expires: time.Now().Add(48 * time.Hour)}
		for _, k := range []mail.Kind{mail.Invitation, mail.GiftReceived} {
			letter, err := all.Render(k, "en", d)
			if err != nil {
				t.Fatal(err)
			}
			rest := strings.NewReplacer("https://mana.example/x", "", "ada@example.com", "").Replace(letter.Subject + "\n" + letter.Text)
			if mail.LinkLike(rest) || strings.ContainsAny(rest, "\r\x00") || strings.Contains(letter.Subject, "\n") || strings.Count(letter.HTML, "<a ") != 1 {
				t.Errorf("%q makes\n%s\n%s", text, letter.Subject, letter.Text)
			}
		}
	})
}
