package desk

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/keyset"
	"mana.how/edge/internal/usertext"
)

// mostShown bounds what a cell shows of a text, in bytes.
const mostShown = 300

// text is what somebody wrote, without what would change how the page around it
// reads.
func text(s string) pages.DeskCell { return pages.DeskCell{Text: usertext.Clean(s, mostShown)} }

// code is a text for programs.
func code(s string) pages.DeskCell {
	return pages.DeskCell{Text: usertext.Clean(s, mostShown), Code: true}
}

func optional(s *string) pages.DeskCell {
	if s == nil {
		return pages.DeskCell{}
	}
	return text(*s)
}

// object is JSON in a line, empty for none.
func object(raw json.RawMessage) pages.DeskCell {
	if len(raw) == 0 || string(raw) == "null" {
		return pages.DeskCell{}
	}
	return code(string(raw))
}

func at(t time.Time) pages.DeskCell { return pages.DeskCell{At: t} }

func optionalTime(t *time.Time) pages.DeskCell {
	if t == nil {
		return pages.DeskCell{}
	}
	return at(*t)
}

func credits(a creditcore.Amount) pages.DeskCell { return pages.DeskCell{Credits: a.String()} }

func cents(n int64) pages.DeskCell { return pages.DeskCell{Cents: n} }

func word(w string) pages.DeskCell { return pages.DeskCell{Word: w} }

// The tones of a badge.
const (
	good  = "good"
	bad   = "bad"
	plain = "plain"
)

func badge(w, tone string) pages.DeskCell { return pages.DeskCell{Word: w, Tone: tone} }

// yesNo is a badge where yes is as it should be.
func yesNo(set bool) pages.DeskCell {
	if set {
		return badge("yes", good)
	}
	return badge("no", plain)
}

func link(shown, path string) pages.DeskCell {
	if shown = usertext.Clean(shown, mostShown); shown == "" {
		shown = "–"
	}
	return pages.DeskCell{Text: shown, Link: path}
}

// userLink leads to an account, which is shown by its address where that is known.
func userLink(id, email string) pages.DeskCell {
	if id == "" {
		return text(email)
	}
	if email == "" {
		email = id
	}
	return link(email, pathOf(usersPath, id))
}

// accountLink leads to the account of a user, or to an organisation by its name.
func accountLink(account, email, organization string) pages.DeskCell {
	id := creditcore.OrganizationOf(account)
	switch {
	case id == "":
		return userLink(account, email)
	case organization == "": // it is gone
		return text(id)
	}
	return link(organization, pathOf(organizationsPath, id))
}

func form(a pages.DeskAction) pages.DeskCell { return pages.DeskCell{Form: &a} }

func fact(label string, value pages.DeskCell) pages.DeskFact {
	return pages.DeskFact{Label: label, Value: value}
}

// pager fills the queries of other pages in: of a list that is asked for by the
// pairs, where before is the cursor of this page.
func pager(t pages.DeskTable, path string, before string, next keyset.Cursor, pairs ...string) pages.DeskTable {
	if before != "" {
		t.Newest = path + queryOf(pairs...)
	}
	if !next.IsZero() {
		t.Older = path + queryOf(append(pairs, "before", next.String())...)
	}
	return t
}

// addressOf is an address as events have it; what is none stays as it is, and finds
// nothing.
func addressOf(typed string) string {
	typed = strings.TrimSpace(typed)
	if ip, err := netip.ParseAddr(typed); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	return typed
}
