package outbox

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ChannelOf is the channel of a member of a family.
func ChannelOf(family, member string) string { return family + ":" + member }

// MemberOf is the member of a family that a channel is of, empty for none.
func MemberOf(channel string) string {
	_, member, _ := strings.Cut(channel, ":")
	return member
}

// familyOf is the family of a channel, or the channel itself.
func familyOf(channel string) string {
	family, _, _ := strings.Cut(channel, ":")
	return family
}

// deliverOf is what delivers messages of a channel, nil for one that is not known.
func (b *Box) deliverOf(channel string) Deliver {
	if deliver := b.cfg.Channels[channel]; deliver != nil {
		return deliver
	}
	if MemberOf(channel) == "" {
		return nil
	}
	return b.cfg.Families[familyOf(channel)].Deliver
}

// serveFamily serves the channels of a family as they come and go, until ctx ends.
func (b *Box) serveFamily(ctx context.Context, name string) {
	var running sync.WaitGroup
	defer running.Wait()
	served := make(map[string]context.CancelFunc) // by member
	poll := time.NewTicker(b.cfg.Poll)
	defer poll.Stop()
	away := false
	for {
		members, err := b.cfg.Families[name].Members(ctx)
		if err != nil && ctx.Err() == nil && !away {
			b.cfg.Logger.Warn("the channels of the outbox cannot be listed", "family", name, "error", err)
		}
		if away = err != nil; !away {
			for member, stop := range served {
				if !slices.Contains(members, member) {
					stop()
					delete(served, member)
				}
			}
			for _, member := range members {
				if served[member] != nil {
					continue
				}
				serving, stop := context.WithCancel(ctx)
				served[member] = stop
				running.Go(func() {
					defer stop()
					b.serve(serving, ChannelOf(name, member))
				})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}

// GiveUpTx gives up, in the caller's transaction and the scope of the system, all that
// waits in a channel, for the reason that is named.
func (b *Box) GiveUpTx(ctx context.Context, tx pgx.Tx, channel, reason string) error {
	_, err := tx.Exec(ctx,
		`UPDATE mana.outbox
		 SET dead_at = now(), last_error = $2, leased_until = NULL
		 WHERE channel = $1 AND sent_at IS NULL AND dead_at IS NULL`, channel, reason)
	return err
}

// DropTx removes, as [Box.GiveUpTx] gives up, every message of a channel.
func (b *Box) DropTx(ctx context.Context, tx pgx.Tx, channel string) error {
	_, err := tx.Exec(ctx, `DELETE FROM mana.outbox WHERE channel = $1`, channel)
	return err
}
