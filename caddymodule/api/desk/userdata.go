package desk

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
)

// grant gives an account credits. The form has a key, so that pressing its button
// twice gives once.
func (d Deps) grant(ctx context.Context, c *endpoint.Call, u authcore.User, o order) (outcome, error) {
	amount, err := creditcore.ParseAmount(o.Amount)
	if err != nil || amount <= 0 {
		return outcome{}, errAmount
	}
	var expires *time.Time
	if o.Expires != "" {
		day, err := time.Parse(time.DateOnly, o.Expires)
		end := day.AddDate(0, 0, 1) // the day is its last
		if err != nil || !end.After(c.Now()) {
			return outcome{}, errExpires
		}
		expires = &end
	}
	if o.Key == "" {
		return outcome{}, errUnknownAction
	}
	give, err := d.Grant(ctx)
	if err != nil {
		return outcome{}, errors.Join(authcore.ErrUnavailable, err)
	}
	metadata, err := json.Marshal(map[string]string{"operator": o.By.Name})
	if err != nil {
		return outcome{}, err
	}
	receipt, err := give(ctx, o.By, creditcore.Grant{
		UserID: u.ID, Amount: amount, Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "admin",
		Description: o.Reason, Metadata: metadata, ExpiresAt: expires, InternalKey: "desk:" + u.ID + ":" + o.Key,
	})
	if err == nil && receipt.Replayed {
		err = errReplayed
	}
	return outcome{done: "desk-granted"}, err
}

// export answers with what is kept of an account, as a file. That it was taken is
// recorded first.
func (d Deps) export(ctx context.Context, c *endpoint.Call, u authcore.User, o order) (outcome, error) {
	err := c.Auth.Audited(ctx, audit.Event{Type: "data_exported", UserID: u.ID, By: o.By}, nil)
	if err != nil {
		return outcome{}, err
	}
	account, err := c.Auth.AccountDataOf(ctx, o.By, u.ID)
	if err != nil {
		return outcome{}, err
	}
	file, err := d.Export(ctx, c, account)
	return outcome{answer: file}, err
}

// erase deletes an account, and asks the back ends of apps to do the same.
func (d Deps) erase(ctx context.Context, c *endpoint.Call, u authcore.User, o order) (outcome, error) {
	account, err := c.Auth.AccountDataOf(ctx, o.By, u.ID)
	if err != nil {
		return outcome{}, err
	}
	_, err = d.Data.Erase(ctx, c, account, func() error { return c.Auth.DeleteUser(ctx, o.By, u.ID) })
	return outcome{done: "desk-erased", at: usersPath}, err
}
