package gift

import (
	"context"
	"errors"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

type waiting struct {
	ID   string
	Code Code
}

// AutoRedeem redeems for a user every active gift that is meant for their
// e-mail address, once that is verified, and returns how many it was. Riddles
// are left to them, and so is a gift they have had a portion of; what fails is
// logged and skipped.
func (s *Service) AutoRedeem(ctx context.Context, userID, email string) (redeemed int) {
	last := ""
	for ctx.Err() == nil {
		list, err := dbscope.List[waiting](ctx, s.db, system(),
			`SELECT g.id, g.code
			 FROM gifts.gift_codes AS g
			 WHERE g.status = 'active' AND g.target_email = $1 AND g.riddle_answer_hash IS NULL AND g.creator_id <> $2
			   AND NOT EXISTS (SELECT FROM gifts.gift_redemptions AS r
			                   WHERE r.gift_code_id = g.id AND r.redeemer_user_id = $2 AND r.status = 'success')
			   AND g.id > $3
			 ORDER BY g.id
			 LIMIT $4`, email, userID, last, page)
		if err != nil {
			s.log.Warn("look for gifts of a new user", "user", userID, "error", err)
			return redeemed
		}
		for _, g := range list {
			last = g.ID
			_, err := s.Redeem(ctx, creditcore.Caller{UserID: userID, Email: email}, Claim{Code: string(g.Code), SourceApp: "registration"})
			switch {
			case err == nil:
				redeemed++
			case errors.Is(err, creditcore.ErrUnavailable):
				s.log.Warn("redeem the gifts of a new user", "user", userID, "error", err)
				return redeemed
			default:
				s.log.Warn("a gift of a new user was not redeemed", "user", userID, "gift", g.ID, "error", err)
			}
		}
		if len(list) < page {
			break
		}
	}
	return redeemed
}
