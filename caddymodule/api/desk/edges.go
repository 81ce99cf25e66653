package desk

import (
	"context"
	"strconv"
	"time"

	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
)

// signingKeys lists the keys that tokens are signed with.
func (d Deps) signingKeys(ctx context.Context, c *endpoint.Call, _ visit) (pages.Desk, error) {
	out := pages.Desk{Section: "signing", Heading: "signing", Actions: []pages.DeskAction{{Name: "rotate"}, {Name: "rotateNow"}}}
	keys, err := c.Auth.Keys(ctx)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"id", "state", "created", "signsFrom", "goneAt", "older", ""}}
	for i := len(keys) - 1; i >= 0; i-- {
		k := keys[i]
		state, revoke := badge(string(k.State), plain), form(pages.DeskAction{Name: "revokeSigning", Item: k.ID, Danger: true})
		switch k.State {
		case token.KeySigning:
			state.Tone = good
		case token.KeyRevoked:
			state.Tone, revoke = bad, pages.DeskCell{}
		case token.KeyGone:
			revoke = pages.DeskCell{}
		}
		t.Rows = append(t.Rows, []pages.DeskCell{code(k.ID), state, at(k.CreatedAt), at(k.SignsFrom), optionalTime(k.GoneAt), yesNo(k.SealedByOlder), revoke})
	}
	out.Tables = []pages.DeskTable{t}
	return out, nil
}

// changeSigningKey makes a new key, or ends one that leaked.
func (d Deps) changeSigningKey(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	switch o.Action {
	case "rotate", "rotateNow":
		_, err := c.Auth.RotateKeys(ctx, o.By, token.EdDSA, o.Action == "rotateNow")
		return outcome{done: "desk-rotated"}, err
	case "revokeSigning":
		_, err := c.Auth.RevokeKey(ctx, o.By, o.Item)
		return outcome{done: "desk-revoked"}, err
	}
	return outcome{}, errUnknownAction
}

// aliveWithin is how long ago an edge that lives was heard of: it speaks once a
// second.
const aliveWithin = 10 * time.Second

func isAlive(e creditcore.EdgeSeen, now time.Time) bool { return now.Sub(e.SeenAt) < aliveWithin }

// edges are the processes that are known of, and what was revoked last. How late this
// one hears of revocations is what its ear says; each edge has the figure as a metric.
func (d Deps) edges(ctx context.Context, c *endpoint.Call, _ visit) (pages.Desk, error) {
	out := pages.Desk{Section: "edges", Heading: "edges", Notes: []string{"edges"}}
	age, hears := c.Auth.Listening()
	out.Facts = []pages.DeskFact{fact("listening", yesNo(hears)), fact("heard", text(age.Round(time.Millisecond).String()))}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return out, err
	}
	known, err := ledger.Edges(ctx, pageSize)
	if err != nil {
		return out, err
	}
	seen := pages.DeskTable{Title: "edgesSeen", Columns: []string{"id", "state", "seen", "inFlight"}}
	for _, e := range known {
		state := badge("silent", bad)
		if isAlive(e, c.Now()) {
			state = badge("alive", good)
		}
		seen.Rows = append(seen.Rows, []pages.DeskCell{code(e.ID), state, at(e.SeenAt), text(strconv.Itoa(e.Open))})
	}
	list, err := c.Auth.LatestRevocations(ctx, operator(c, ""), pageSize)
	if err != nil {
		return out, err
	}
	revocations := pages.DeskTable{Title: "revocations", Columns: []string{"time", "user", "session", "why"}}
	for _, r := range list {
		session := pages.DeskCell{Word: "allSessions"}
		if r.SessionID != nil {
			session = code(*r.SessionID)
		}
		revocations.Rows = append(revocations.Rows, []pages.DeskCell{at(r.CreatedAt), userLink(r.UserID, ""), session, code(r.Reason)})
	}
	out.Tables = []pages.DeskTable{seen, revocations}
	return out, nil
}
