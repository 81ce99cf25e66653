package gift

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/fingerprint"
)

// claimTx takes a portion of a locked gift and gives it to the redeemer.
func (s *Service) claimTx(ctx context.Context, tx pgx.Tx, g stored, a *attempt) (Received, error) {
	type taken struct{ Portion int }
	portion, err := dbscope.TxRow[taken](ctx, tx,
		`UPDATE gifts.gift_codes
		 SET claimed_portions = claimed_portions + 1, updated_at = $2,
		     status = CASE WHEN claimed_portions + 1 = total_portions THEN 'depleted' ELSE status END
		 WHERE id = $1 AND status = 'active' AND claimed_portions < total_portions AND (expires_at IS NULL OR expires_at > $2)
		 RETURNING claimed_portions AS portion`, g.ID, a.now)
	if errors.Is(err, pgx.ErrNoRows) {
		return Received{}, Depleted
	}
	if err != nil {
		return Received{}, err
	}
	metadata, err := json.Marshal(map[string]any{"giftCodeId": g.ID, "portionNumber": portion.Portion})
	if err != nil {
		return Received{}, err
	}
	name := fmt.Sprintf("gift:%s:%d", g.ID, portion.Portion)
	receipt, err := s.ledger.GrantTx(ctx, tx, creditcore.Grant{
		UserID: a.UserID, Amount: g.CreditsPerPortion, Type: creditcore.Gift, Source: creditcore.SourceGift,
		AppID: appOf(a.SourceApp), Description: "Gift received: " + string(g.Code), Metadata: metadata,
		InternalKey: name, Reference: name, Gift: *g.ReservationID,
	})
	if err != nil {
		return Received{}, err
	}
	var mark []byte
	if a.Key != "" {
		mark = a.fingerprint(g)
	}
	_, err = tx.Exec(ctx,
		`INSERT INTO gifts.gift_redemptions (id, gift_code_id, redeemer_user_id, status, credits_received, portion_number,
			credit_transaction_id, source_app_id, created_at, idempotency_key, request_hash, repeatable)
		 VALUES ($1, $2, $3, 'success', $4, $5, $6, $7, $8, $9, $10, $11)`,
		newID(), g.ID, a.UserID, int64(g.CreditsPerPortion), portion.Portion,
		receipt.Entry.ID, dbscope.NullText(a.SourceApp), a.now, dbscope.NullText(a.Key), mark, g.Type == Split)
	return Received{Code: g.Code, Credits: g.CreditsPerPortion, Balance: receipt.Balance.Available, Message: g.Message}, err
}

// failedTx notes an attempt in vain. Of those at another's gift one a user is
// enough.
func (a *attempt) failedTx(ctx context.Context, tx pgx.Tx, g stored, status string) error {
	_, err := tx.Exec(ctx,
		`INSERT INTO gifts.gift_redemptions (id, gift_code_id, redeemer_user_id, status, source_app_id, created_at, repeatable)
		 VALUES ($1, $2, $3, $4, $5, $6, $7)
		 ON CONFLICT (gift_code_id, redeemer_user_id) WHERE status = 'failed_wrong_user' DO NOTHING`,
		newID(), g.ID, a.UserID, status, dbscope.NullText(a.SourceApp), a.now, g.Type == Split)
	return err
}

// replayTx answers a claim whose key stands for one that succeeded. It runs
// under the lock of the gift.
func (a *attempt) replayTx(ctx context.Context, tx pgx.Tx, g stored) (Received, bool, error) {
	type redemption struct {
		GiftCodeID      string
		CreditsReceived creditcore.Amount
		RequestHash     []byte
	}
	found, err := dbscope.TxRow[redemption](ctx, tx,
		`SELECT gift_code_id, credits_received, request_hash FROM gifts.gift_redemptions
		 WHERE redeemer_user_id = $1 AND idempotency_key = $2`, a.UserID, a.Key)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Received{}, false, nil
	case err != nil:
		return Received{}, false, err
	case found.GiftCodeID != g.ID, !bytes.Equal(found.RequestHash, a.fingerprint(g)), g.RiddleAnswerHash != nil && a.answer != right:
		return Received{}, false, creditcore.ErrKeyReused
	}
	return Received{Code: g.Code, Credits: found.CreditsReceived, Message: g.Message, Replayed: true}, true, nil
}

// fingerprint marks the claim, so that another one under the same key is told
// apart. The answer to a riddle is not in it: a fast hash would betray it.
func (a *attempt) fingerprint(g stored) []byte {
	answer := a.Answer
	if g.RiddleAnswerHash != nil {
		answer = ""
	}
	return fingerprint.Of("redeem", g.ID, answer, a.SourceApp)
}
