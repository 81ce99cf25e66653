package feed

import (
	"context"
	"encoding/json"
	"time"

	"mana.how/edge/authcore/revocation"
)

func (s *Feed) redisLoop(ctx context.Context) {
	for ctx.Err() == nil {
		sub := s.with.Redis.Subscribe(ctx, revocationChannel)
		messages := sub.Channel()
	receiving:
		for {
			select {
			case <-ctx.Done():
				break receiving
			case m, ok := <-messages:
				if !ok {
					break receiving
				}
				s.notified(ctx, revocationChannel, m.Payload)
			}
		}
		_ = sub.Close()
		if !Sleep(ctx, time.Second) {
			return
		}
	}
}

// publishWait bounds how long Redis is tried with what was revoked. Without it
// PostgreSQL's NOTIFY carries the news.
const publishWait = 2 * time.Second

// Publish hands what was revoked to Redis.
func (s *Feed) Publish(revs []revocation.Revocation) {
	ctx, cancel := context.WithTimeout(context.Background(), publishWait)
	defer cancel()
	for _, rev := range revs {
		rev.At = rev.CreatedAt.UnixMilli()
		message, err := json.Marshal(rev)
		if err == nil {
			err = s.with.Redis.Publish(ctx, revocationChannel, message).Err()
		}
		if err != nil {
			s.with.Log.Warn("publish revocations", "error", err)
			return
		}
	}
}
