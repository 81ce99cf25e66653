package authcore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/principal"
)

// UploadTTL is how long a token to upload a file is good.
const UploadTTL = time.Hour

// upload is what a challenge to upload knows: where the file is to lie.
type upload struct {
	Key string `json:"key"`
}

// NewUpload makes a token by which whoever has it may upload one file for the
// caller, to the place that the key names.
func (s *Service) NewUpload(ctx context.Context, c principal.Caller, key string) (token string, err error) {
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		token, err = challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.Upload, UserID: u.ID, Address: u.Email, Data: upload{key}, TTL: UploadTTL, Unbounded: true,
		})
		return err
	})
	return token, err
}

// UploadKey is the place that a token is good for. It takes nothing, and fails
// with [challenge.ErrUnknown] or [challenge.ErrExpired].
func (s *Service) UploadKey(ctx context.Context, token string) (key string, err error) {
	return s.upload(ctx, token, func(context.Context, pgx.Tx, challenge.Challenge) error { return nil })
}

// TakeUpload is UploadKey that takes the token: it is good no more.
func (s *Service) TakeUpload(ctx context.Context, token string) (key string, err error) {
	return s.upload(ctx, token, challenge.ConsumeTx)
}

func (s *Service) upload(ctx context.Context, token string, then func(context.Context, pgx.Tx, challenge.Challenge) error) (key string, err error) {
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		c, _, err := addressChallengeTx(ctx, tx, challenge.Upload, token)
		if err != nil {
			return err
		}
		if c.Over() {
			return challenge.ErrExpired
		}
		var u upload
		if err := json.Unmarshal(c.Data, &u); err != nil {
			return err
		}
		key = u.Key
		return then(ctx, tx, c)
	})
	return key, err
}
