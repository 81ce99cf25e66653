package desk

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/webhook"
)

// replayFor is how far back what an endpoint missed is replayed.
const replayFor = 30 * 24 * time.Hour

// webhooks lists the endpoints of webhooks.
func (d Deps) webhooks(ctx context.Context, _ *endpoint.Call, _ visit) (pages.Desk, error) {
	out := pages.Desk{Section: "webhooks", Heading: "webhooks", Notes: []string{"webhooks"}}
	hooks, err := d.liveWebhooks(ctx)
	if err != nil {
		return out, err
	}
	list, err := hooks.List(ctx)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"url", "description", "type", "state", "failing", "created"}}
	for _, e := range list {
		t.Rows = append(t.Rows, []pages.DeskCell{
			link(e.URL, pathOf(webhooksPath, e.ID)), text(e.Description), typesOf(e), endpointState(e), optionalTime(e.FailingSince), at(e.CreatedAt),
		})
	}
	out.Tables = []pages.DeskTable{t}
	out.Actions = []pages.DeskAction{{Name: "createWebhook", Fields: []pages.DeskField{
		{Name: "url", Kind: "url", Required: true, Max: 2000}, {Name: "types", Kind: "textarea", Max: 1000}, {Name: "description", Kind: "text", Max: 200},
	}}}
	return out, nil
}

// webhook is an endpoint, and what it was told.
func (d Deps) webhook(ctx context.Context, _ *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "webhooks", Heading: "webhook", Up: webhooksPath}
	hooks, err := d.liveWebhooks(ctx)
	if err != nil {
		return out, err
	}
	e, err := hooks.Find(ctx, v.ID)
	if err != nil {
		return out, err
	}
	out.About = e.URL
	out.Facts = []pages.DeskFact{
		fact("id", code(e.ID)), fact("description", text(e.Description)), fact("type", typesOf(e)), fact("state", endpointState(e)), fact("reason", optional(e.DisabledReason)),
		fact("failing", optionalTime(e.FailingSince)), fact("oldSecret", optionalTime(e.PreviousUntil)), fact("created", at(e.CreatedAt)),
	}
	before, _ := strconv.ParseInt(v.Before, 10, 64)
	list, err := hooks.Deliveries(ctx, e.ID, max(before, 0), pageSize+1)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Title: "deliveries", Columns: []string{"time", "type", "user", "state", "tries", "answer", "due", ""}}
	for _, l := range list[:min(len(list), pageSize)] {
		again := pages.DeskCell{}
		if l.State != webhook.Waiting && e.DisabledAt == nil {
			again = form(pages.DeskAction{Name: "replay", Item: l.EventID})
		}
		t.Rows = append(t.Rows, []pages.DeskCell{
			at(l.CreatedAt), code(l.Type), code(l.Subject), badge(l.State, tones[l.State]), text(strconv.Itoa(l.Tries)), text(l.LastAnswer), optionalTime(l.NextTryAt), again,
		})
	}
	if before > 0 {
		t.Newest = pathOf(webhooksPath, e.ID)
	}
	if len(list) > pageSize {
		t.Older = pathOf(webhooksPath, e.ID) + queryOf("before", strconv.FormatInt(list[pageSize-1].Sequence, 10))
	}
	out.Tables = []pages.DeskTable{t}
	out.Actions = actionsOf(e)
	return out, nil
}

// tones are those of the states of deliveries.
var tones = map[string]string{webhook.Delivered: good, webhook.Waiting: plain, webhook.GivenUp: bad}

// actionsOf are the forms for an endpoint.
func actionsOf(e webhook.Endpoint) []pages.DeskAction {
	rotate, remove := pages.DeskAction{Name: "rotateWebhook"}, pages.DeskAction{Name: "deleteWebhook", Danger: true}
	if e.DisabledAt != nil {
		return []pages.DeskAction{{Name: "enableWebhook"}, rotate, remove}
	}
	return []pages.DeskAction{{Name: "testWebhook"}, {Name: "replayMissed"}, rotate, {Name: "disableWebhook"}, remove}
}

func typesOf(e webhook.Endpoint) pages.DeskCell {
	if len(e.Types) == 0 {
		return word("allEvents")
	}
	return code(strings.Join(e.Types, " "))
}

func endpointState(e webhook.Endpoint) pages.DeskCell {
	switch {
	case e.DisabledAt != nil:
		return badge("switchedOff", bad)
	case e.FailingSince != nil:
		return badge("failing", bad)
	}
	return badge("active", good)
}

// liveWebhooks are those of the live cores.
func (d Deps) liveWebhooks(ctx context.Context) (*webhook.Service, error) {
	hooks, err := d.Webhooks(ctx)
	if err != nil || hooks == nil {
		return nil, authcore.ErrUnavailable
	}
	return hooks, nil
}

// createWebhook makes an endpoint, and shows its secret once.
func (d Deps) createWebhook(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	if o.Action != "createWebhook" {
		return outcome{}, errUnknownAction
	}
	hooks, err := d.liveWebhooks(ctx)
	if err != nil {
		return outcome{}, err
	}
	e, secret := webhook.Endpoint{URL: strings.TrimSpace(o.URL), Description: o.Description, Types: strings.FieldsFunc(o.Types, betweenTypes)}, ""
	metadata := map[string]any{}
	err = c.Auth.Audited(ctx, audit.Event{Type: "webhook_created", By: o.By, Metadata: metadata}, func(ctx context.Context, tx pgx.Tx) (err error) {
		if e, secret, err = hooks.CreateTx(ctx, tx, e); err == nil {
			metadata["endpoint"], metadata["url"] = e.ID, e.URL
		}
		return err
	})
	if err != nil {
		return outcome{}, err
	}
	return d.shownSecret(ctx, c, e.ID, secret)
}

func betweenTypes(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\r' || r == '\t' }

// shownSecret is the page of an endpoint with its secret.
func (d Deps) shownSecret(ctx context.Context, c *endpoint.Call, id, secret string) (outcome, error) {
	answer, err := d.answer(ctx, c, 200, func(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
		view, err := d.webhook(ctx, c, v)
		view.Facts = append([]pages.DeskFact{fact("secret", code(secret))}, view.Facts...)
		view.Notes = append(view.Notes, "secretOnce")
		return view, err
	}, visit{ID: id}, "", "")
	if page, ok := answer.(endpoint.HTML); ok {
		if view, ok := page.View.(pages.Desk); ok { // its forms lead to the endpoint, whichever form made it
			view.At = pathOf(webhooksPath, id)
			page.View = view
			answer = page
		}
	}
	return outcome{answer: answer}, err
}

// changeWebhook changes an endpoint, or has it told something again.
func (d Deps) changeWebhook(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	hooks, err := d.liveWebhooks(ctx)
	if err != nil {
		return outcome{}, err
	}
	var secret string
	changes := map[string]struct {
		event, done string
		do          func(context.Context, pgx.Tx) error
	}{
		"rotateWebhook": {"webhook_secret_rotated", "", func(ctx context.Context, tx pgx.Tx) (err error) {
			secret, err = hooks.RotateTx(ctx, tx, o.ID)
			return err
		}},
		"enableWebhook": {"webhook_enabled", "desk-webhook-enabled", func(ctx context.Context, tx pgx.Tx) error { return hooks.EnableTx(ctx, tx, o.ID) }},
		"disableWebhook": {"webhook_disabled", "desk-webhook-disabled", func(ctx context.Context, tx pgx.Tx) error {
			return hooks.DisableTx(ctx, tx, o.ID, o.Reason)
		}},
		"deleteWebhook": {"webhook_deleted", "desk-webhook-deleted", func(ctx context.Context, tx pgx.Tx) error { return hooks.DeleteTx(ctx, tx, o.ID) }},
		"testWebhook":   {"webhook_tested", "desk-webhook-replayed", func(ctx context.Context, tx pgx.Tx) error { return hooks.TestTx(ctx, tx, o.ID) }},
		"replay": {"webhook_replayed", "desk-webhook-replayed", func(ctx context.Context, tx pgx.Tx) error {
			if o.Item == "" {
				return webhook.ErrNoDelivery
			}
			_, err := hooks.ReplayTx(ctx, tx, o.ID, o.Item, time.Time{})
			return err
		}},
		"replayMissed": {"webhook_replayed", "desk-webhook-replayed", func(ctx context.Context, tx pgx.Tx) error {
			_, err := hooks.ReplayTx(ctx, tx, o.ID, "", time.Now().Add(-replayFor))
			return err
		}},
	}
	change, known := changes[o.Action]
	if !known {
		return outcome{}, errUnknownAction
	}
	metadata := map[string]any{"endpoint": o.ID}
	if o.Item != "" {
		metadata["event"] = o.Item
	}
	if err := c.Auth.Audited(ctx, audit.Event{Type: change.event, By: o.By, Metadata: metadata}, change.do); err != nil {
		return outcome{}, err
	}
	hooks.Wake()
	switch o.Action {
	case "rotateWebhook":
		return d.shownSecret(ctx, c, o.ID, secret)
	case "deleteWebhook":
		return outcome{done: change.done, at: webhooksPath}, nil
	}
	return outcome{done: change.done}, nil
}
