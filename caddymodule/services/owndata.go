package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/appdata"
	"mana.how/edge/internal/objectstore"
	"mana.how/edge/internal/outbox"
)

// erasureChannel is that of deletions in the back ends of apps, whose kinds are
// their ids.
const erasureChannel = "erasure"

// picturesKind is that of the deletion of pictures, which no back end can be named.
const picturesKind = "mana/pictures"

// erasurePauses are those between the tries to have a back end delete; the last
// one repeats.
func erasurePauses() []time.Duration {
	return []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}
}

// erasureAfter leaves a request the time to ask the back ends itself.
const erasureAfter = 15 * time.Second

// AppData is what the back ends of apps keep of users.
type AppData struct {
	client   appdata.Client
	pictures objectstore.Store // nil where there is none
	box      *outbox.Box       // nil where the cores are keyless
}

// Kept asks what they keep of a user.
func (a AppData) Kept(ctx context.Context, userID string) []appdata.Kept {
	return a.client.Kept(ctx, userID)
}

// Delete has them delete it, after [AppData.putTx]. Those that fail are asked
// again from the outbox.
func (a AppData) Delete(ctx context.Context, userID string) ([]appdata.Deleted, error) {
	list := a.client.Delete(ctx, userID)
	for _, d := range list {
		if d.Err != nil {
			continue
		}
		if err := a.box.Settle(ctx, erasureChannel, d.Backend.ID, userID); err != nil {
			return list, err
		}
	}
	return list, nil
}

// putTx notes, in the transaction that erases a user, whom to ask for the same.
func (a AppData) putTx(ctx context.Context, tx pgx.Tx, userID string) error {
	if a.box == nil {
		return nil
	}
	body, err := json.Marshal(userID)
	if err != nil {
		return err
	}
	if a.pictures != nil {
		if err := a.box.Put(ctx, tx, outbox.Message{Channel: erasureChannel, Kind: picturesKind, UserID: userID, Body: body}); err != nil {
			return err
		}
	}
	for _, b := range a.client.Backends {
		if err := a.box.Put(ctx, tx, outbox.Message{
			Channel: erasureChannel, Kind: b.ID, UserID: userID, Body: body, After: erasureAfter,
		}); err != nil {
			return err
		}
	}
	return nil
}

// deliver has a back end delete what it keeps.
func (a AppData) deliver(ctx context.Context, m outbox.Message) error {
	var userID string
	if err := json.Unmarshal(m.Body, &userID); err != nil {
		return outbox.Permanent(fmt.Errorf("read a deletion: %w", err))
	}
	if m.Kind == picturesKind {
		if a.pictures == nil {
			return outbox.Permanent(errors.New("no storage of pictures is configured any more"))
		}
		_, err := a.pictures.DeletePrefix(ctx, "avatars/"+userID)
		return err
	}
	b, ok := a.client.Find(m.Kind)
	if !ok {
		return outbox.Permanent(fmt.Errorf("no backend %s is configured any more", m.Kind))
	}
	_, err := a.client.DeleteFrom(ctx, b, userID)
	return err
}
