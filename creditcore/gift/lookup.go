package gift

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// maxListed bounds a list.
const maxListed = 50

// Info is what the holder of a code is told. Of a gift for a specific person
// the message and the creator's name are left out for anybody but these two.
type Info struct {
	Gift
	HasRiddle    bool
	Personalized bool
	CreatorName  string
}

// Lookup finds a gift by its code, in any case. The caller may be nobody. It
// fails with [ErrNotFound].
func (s *Service) Lookup(ctx context.Context, c creditcore.Caller, text string) (Info, error) {
	code, ok := ParseCode(text)
	if !ok {
		return Info{}, ErrNotFound
	}
	type found struct {
		Info
		Private bool
	}
	f, err := dbscope.One[found](ctx, s.db, system(),
		`SELECT `+giftColumns+`, g.riddle_answer_hash IS NOT NULL AS has_riddle,
		   g.target_email IS NOT NULL OR g.target_matrix_id IS NOT NULL AS personalized, u.name AS creator_name,
		   NOT coalesce(g.target_email IS NULL AND g.target_matrix_id IS NULL OR g.creator_id = $2
		     OR g.target_email = me.email AND (me.email_verified OR $3)
		     OR EXISTS (SELECT FROM auth.matrix_user_links AS l WHERE l.user_id = $2 AND l.matrix_user_id = g.target_matrix_id),
		   false) AS private
		 FROM gifts.gift_codes AS g
		 JOIN auth.users AS u ON u.id = g.creator_id
		 LEFT JOIN auth.users AS me ON me.id = $2
		 WHERE g.code = $1`, string(code), c.UserID, s.cfg.RedeemUnverified)
	if errors.Is(err, pgx.ErrNoRows) {
		return Info{}, ErrNotFound
	}
	if err != nil {
		return Info{}, err
	}
	if f.Private {
		f.Message, f.CreatorName = nil, ""
	}
	s.touch(ctx, &f.Gift)
	return f.Info, nil
}

// Created lists the caller's gifts, newest first, at most 50.
func (s *Service) Created(ctx context.Context, c creditcore.Caller) ([]Gift, error) {
	list, err := dbscope.List[Gift](ctx, s.db, dbscope.User(c.UserID, "user"),
		`SELECT `+giftColumns+`
		 FROM gifts.gift_codes AS g
		 WHERE g.creator_id = $1
		 ORDER BY g.created_at DESC, g.id DESC
		 LIMIT $2`, c.UserID, maxListed)
	for i := range list {
		s.touch(ctx, &list[i])
	}
	return list, err
}

// Portion is a portion that somebody received.
type Portion struct {
	ID          string // of the redemption
	Code        Code
	Credits     creditcore.Amount
	Message     *string
	CreatorName string
	RedeemedAt  time.Time
}

// Received lists what the caller redeemed, newest first, at most 50. It reads
// as the system, since codes and names are their creators'.
func (s *Service) Received(ctx context.Context, c creditcore.Caller) ([]Portion, error) {
	return dbscope.List[Portion](ctx, s.db, system(),
		`SELECT r.id, g.code, r.credits_received AS credits, g.message, u.name AS creator_name, r.created_at AS redeemed_at
		 FROM gifts.gift_redemptions AS r
		 JOIN gifts.gift_codes AS g ON g.id = r.gift_code_id
		 JOIN auth.users AS u ON u.id = g.creator_id
		 WHERE r.redeemer_user_id = $1 AND r.status = 'success'
		 ORDER BY r.created_at DESC, r.id DESC
		 LIMIT $2`, c.UserID, maxListed)
}
