package desk

import (
	"context"
	"slices"
	"strconv"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore/abuse"
)

// signalColumns are the labels of what signals tell, in the order of [abuse.Kinds].
var signalColumns = []string{"spentRefunded", "manyRefunds", "giftRing", "collector", "sharedCard"}

// abuse lists accounts by their score.
func (d Deps) abuse(ctx context.Context, _ *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "abuse", Heading: "abuse", Notes: []string{"abuse"}}
	scores, err := d.Abuse(ctx)
	if err != nil {
		return out, err
	}
	after := abuse.ParseCursor(v.Before)
	list, next, err := scores.Page(ctx, after, pageSize)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: append(append([]string{"address", "score"}, signalColumns...), "gifting", "scored")}
	for _, s := range list {
		address := s.Email
		if address == "" {
			address = s.UserID
		}
		row := []pages.DeskCell{link(address, pathOf(abusePath, s.UserID)), text(strconv.Itoa(s.Score))}
		for _, kind := range abuse.Kinds {
			points := pages.DeskCell{}
			if i := slices.IndexFunc(s.Signals, func(one abuse.Signal) bool { return one.Kind == kind }); i >= 0 {
				points = text(strconv.Itoa(s.Signals[i].Points))
			}
			row = append(row, points)
		}
		t.Rows = append(t.Rows, append(row, giftingOf(s), at(s.ScoredAt)))
	}
	if v.Before != "" {
		t.Newest = abusePath
	}
	if next != (abuse.Cursor{}) {
		t.Older = abusePath + queryOf("before", next.String())
	}
	out.Tables = []pages.DeskTable{t}
	return out, nil
}

func giftingOf(s abuse.Score) pages.DeskCell {
	switch {
	case s.HeldAt != nil:
		return badge("giftingHeld", bad)
	case s.ReleasedAt != nil:
		return badge("giftingReleased", plain)
	}
	return badge("giftingFree", good)
}

// abuseOf is what the score of an account rests on.
func (d Deps) abuseOf(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	u, err := c.Auth.UserByID(ctx, operator(c, ""), v.ID)
	if err != nil {
		return pages.Desk{}, err
	}
	scores, err := d.Abuse(ctx)
	if err != nil {
		return pages.Desk{}, err
	}
	s, err := scores.ScoreOf(ctx, u.ID)
	if err != nil {
		return pages.Desk{}, err
	}
	out := pages.Desk{
		Section: "abuse", Heading: "abuseOf", About: u.Email, Up: abusePath,
		Links: []pages.DeskCell{{Word: "user", Link: pathOf(usersPath, u.ID)}, {Word: "sales", Link: salesPath + queryOf("user", u.ID)}, {Word: "gifts", Link: giftsPath + queryOf("user", u.ID)}},
		Facts: giftingFacts(s),
	}
	if s.ScoredAt.IsZero() {
		out.Notes = []string{"abuseNone"}
	}
	if out.Tables, err = signalTables(ctx, scores, s); err != nil {
		return out, err
	}
	if s.HeldAt != nil {
		out.Actions = append(out.Actions, pages.DeskAction{Name: "releaseGifting"})
	}
	if s.HeldAt == nil || *s.HeldBy == abuse.Edge {
		out.Actions = append(out.Actions, pages.DeskAction{Name: "holdGifting", Danger: true})
	}
	return out, nil
}

// giftingFacts are the score and what became of gifting.
func giftingFacts(s abuse.Score) []pages.DeskFact {
	facts := []pages.DeskFact{fact("score", text(strconv.Itoa(s.Score))), fact("gifting", giftingOf(s)), fact("scored", at(s.ScoredAt))}
	switch {
	case s.HeldAt != nil:
		by := optional(s.HeldBy)
		if *s.HeldBy == abuse.Edge {
			by = word(abuse.Edge)
		}
		facts = append(facts, fact("heldSince", at(*s.HeldAt)), fact("heldBy", by), fact("reason", optional(s.HoldReason)))
	case s.ReleasedAt != nil:
		facts = append(facts, fact("releasedAt", at(*s.ReleasedAt)), fact("releasedBy", optional(s.ReleasedBy)), fact("reason", optional(s.ReleaseReason)),
			fact("releasedScore", text(strconv.Itoa(*s.ReleasedScore))))
	}
	return facts
}

// signalTables are the signals in words, and what each rests on.
func signalTables(ctx context.Context, scores *abuse.Service, s abuse.Score) ([]pages.DeskTable, error) {
	var named []string
	for _, one := range s.Signals {
		named = append(named, one.Users...)
		for _, circle := range one.Circles {
			named = append(named, circle.Users...)
		}
	}
	emails, err := scores.EmailsOf(ctx, named)
	if err != nil {
		return nil, err
	}
	who := func(id string) pages.DeskCell { return userLink(id, emails[id]) }
	signals := pages.DeskTable{Title: "signals", Columns: []string{"signal", "means", "count", "points"}}
	tables := []pages.DeskTable{{}}
	for _, one := range s.Signals {
		signals.Rows = append(signals.Rows, []pages.DeskCell{
			word(string(one.Kind)), word("means-" + string(one.Kind)), text(strconv.Itoa(one.Count)), text(strconv.Itoa(one.Points)),
		})
		switch one.Kind {
		case abuse.SpentAndRefunded, abuse.Refunds:
			t := pages.DeskTable{Title: "reversedPurchases", Columns: []string{"signal", "purchase"}}
			for _, id := range one.Purchases {
				t.Rows = append(t.Rows, []pages.DeskCell{word(string(one.Kind)), code(id)})
			}
			tables = append(tables, t)
		case abuse.GiftRing:
			t := pages.DeskTable{Title: "circles", Columns: []string{"circle", "giver", "taker", "rounds"}}
			for i, circle := range one.Circles {
				for j, id := range circle.Users {
					t.Rows = append(t.Rows, []pages.DeskCell{
						text(strconv.Itoa(i + 1)), who(id), who(circle.Users[(j+1)%len(circle.Users)]), text(strconv.Itoa(circle.Rounds)),
					})
				}
			}
			tables = append(tables, t)
		case abuse.Collector, abuse.SharedCard:
			t := pages.DeskTable{Title: "givers", Columns: []string{"address", "id"}}
			if one.Kind == abuse.SharedCard {
				t.Title = "sameCard"
			}
			for _, id := range one.Users {
				t.Rows = append(t.Rows, []pages.DeskCell{who(id), code(id)})
			}
			tables = append(tables, t)
		}
	}
	tables[0] = signals
	return tables, nil
}

// changeGifting holds the gifting of an account, or releases it.
func (d Deps) changeGifting(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	u, err := c.Auth.UserByID(ctx, o.By, o.ID)
	if err != nil {
		return outcome{}, err
	}
	scores, err := d.Abuse(ctx)
	if err != nil {
		return outcome{}, err
	}
	event := audit.Event{UserID: u.ID, By: o.By}
	switch o.Action {
	case "holdGifting":
		event.Type = "gifting_held"
		return outcome{done: "desk-gifting-held"}, scores.Hold(ctx, u.ID, o.By.Name, o.Reason, event.Recorder())
	case "releaseGifting":
		event.Type = "gifting_released"
		return outcome{done: "desk-gifting-released"}, scores.Release(ctx, u.ID, o.By.Name, o.Reason, event.Recorder())
	}
	return outcome{}, errUnknownAction
}
