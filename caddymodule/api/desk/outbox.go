package desk

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/outbox"
)

// outbox lists what was given up, and what waits. What messages say is sealed, and
// not shown.
func (d Deps) outbox(ctx context.Context, _ *endpoint.Call, _ visit) (pages.Desk, error) {
	out := pages.Desk{Section: "outbox", Heading: "outbox"}
	box, err := d.Outbox(ctx)
	if err != nil {
		return out, err
	}
	if box == nil {
		out.Notes = []string{"noOutbox"}
		return out, nil
	}
	dead, err := box.Dead(ctx, pageSize)
	if err != nil {
		return out, err
	}
	lost := pages.DeskTable{Title: "dead", Columns: []string{"died", "channel", "what", "user", "tries", "error", ""}}
	for _, l := range dead {
		lost.Rows = append(lost.Rows, []pages.DeskCell{
			at(l.DeadAt), code(l.Channel), code(l.Kind), userLink(l.UserID, ""), text(strconv.Itoa(l.Attempts)), text(l.LastError), form(pages.DeskAction{Name: "retry", Item: l.ID}),
		})
	}
	waiting, err := box.Waiting(ctx, pageSize)
	if err != nil {
		return out, err
	}
	open := pages.DeskTable{Title: "waiting", Columns: []string{"due", "channel", "what", "user", "tries", "error", "created"}}
	for _, w := range waiting {
		open.Rows = append(open.Rows, []pages.DeskCell{
			at(w.DueAt), code(w.Channel), code(w.Kind), userLink(w.UserID, ""), text(strconv.Itoa(w.Attempts)), text(w.LastError), at(w.CreatedAt),
		})
	}
	out.Tables = []pages.DeskTable{lost, open}
	return out, nil
}

// changeOutbox has a message that was given up tried again.
func (d Deps) changeOutbox(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	if o.Action != "retry" {
		return outcome{}, errUnknownAction
	}
	box, err := d.Outbox(ctx)
	switch {
	case err != nil:
		return outcome{}, authcore.ErrUnavailable
	case box == nil:
		return outcome{}, outbox.ErrNotFound
	}
	err = c.Auth.Audited(ctx, audit.Event{Type: "message_retried", By: o.By, Metadata: map[string]any{"message": o.Item}},
		func(ctx context.Context, tx pgx.Tx) error {
			_, err := box.RetryTx(ctx, tx, o.Item)
			return err
		})
	if err == nil {
		box.Wake()
	}
	return outcome{done: "desk-mail"}, err
}
