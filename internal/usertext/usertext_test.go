package usertext_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"mana.how/edge/internal/usertext"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                  "",
		"   ":               "",
		" Ada Lovelace ":    "Ada Lovelace",
		"Zoë O'Brien-Smith": "Zoë O'Brien-Smith",
		"محمد علی\u200cپور": "محمد علی\u200cپور",
		"नमस्ते":            "नमस्ते",
		"Nguyễn":            "Nguyễn",
		"👩‍👩‍👧‍👦 and 🏴󠁧󠁢󠁥󠁮󠁧󠁿": "👩‍👩‍👧‍👦 and 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
		"❤️":            "❤️",
		"e\u0301\u0323": "e\u0301\u0323",
	} {
		if got, err := usertext.Line(text, 40); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]usertext.Reason{
		"Ada\x1b[2JRoot":                    usertext.Control,
		"Ada\nid  root@example.com":         usertext.Control,
		"Ada\tB":                            usertext.Control,
		"Ada\u009b2J":                       usertext.Control,
		"\u202egnp.exe":                     usertext.Control,
		"a\u2066b\u2069":                    usertext.Control,
		"a\u200fb":                          usertext.Control,
		"\u200b":                            usertext.Control,
		"a\u2028b":                          usertext.Control,
		"\xff":                              usertext.Control,
		"a\ue000":                           usertext.Control,
		"\u200d":                            usertext.Blank,
		"\u3164":                            usertext.Blank,
		"\u2800":                            usertext.Blank,
		"\u00a0\u0301":                      usertext.Blank,
		"Z" + strings.Repeat("\u0301", 200): usertext.Stacked,
		strings.Repeat("👍", 41):             usertext.TooLong,
		strings.Repeat("👩\u200d", 9) + "👩":  usertext.Stacked,
	} {
		got, err := usertext.Line(text, 40)
		var reason usertext.Reason
		if !errors.As(err, &reason) || reason != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestMessageHasOneLine(t *testing.T) {
	t.Parallel()
	if got, err := usertext.Message("Dear Ada,\r\nall the best\n", 40); err != nil || got != "Dear Ada, all the best" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := usertext.Message("a\x1b[2J", 40); !errors.Is(err, usertext.Control) {
		t.Errorf("%v", err)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	if got := usertext.Clean("AI chat: hello\nworld\x1b[2J", 100); got != "AI chat: hello world[2J" {
		t.Errorf("%q", got)
	}
	if got := usertext.Clean("\u202eabc\x00\xff", 100); got != "abc" {
		t.Errorf("%q", got)
	}
	if got := usertext.Clean("Z"+strings.Repeat("\u0301", 9), 100); got != "Z\u0301\u0301\u0301\u0301" {
		t.Errorf("%q", got)
	}
	if got := usertext.Clean("ééé", 5); got != "éé" {
		t.Errorf("%q", got)
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Ada Zoë 山田 👍":            "Ada Zoë 山田 👍",
		"a\x1b[2J\nb\tc":          `a\u{1b}[2J\u{a}b\u{9}c`,
		"\u202ex\u009b\u200b\xff": `\u{202e}x\u{9b}\u{200b}\u{ff}`,
	} {
		if got := usertext.Escape(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b\u202e\nb", 10)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(0, limit%300)
		got := usertext.Clean(text, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q becomes %q", text, got)
		}
		if shown := usertext.Escape(text); strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is shown as %q", text, shown)
		}
		raw, err := json.Marshal(text)
		if err != nil {
			return
		}
		var before, after string
		if json.Unmarshal(raw, &before) != nil || json.Unmarshal([]byte(usertext.EscapeJSON(string(raw))), &after) != nil || before != after {
			t.Errorf("%s means another thing when escaped: %q", raw, after)
		}
	})
}
