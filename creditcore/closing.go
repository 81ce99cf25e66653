package creditcore

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// CloseTx closes the account of an organisation that is being deleted, in the
// caller's transaction, while the organisation is still there. What is available
// goes to the heir, a user, as a gift that keeps source and end of its lots; what
// comes in later, such as a payment that was under way or what a request in
// flight gives back, follows by [Service.Run]. Without an heir it stays where it
// is, as on the account of a user who leaves. Ledger rows and debts stay.
func (s *Service) CloseTx(ctx context.Context, tx pgx.Tx, organizationID, heirID string) error {
	account := OrganizationAccount(organizationID)
	if err := s.OpenTx(ctx, tx, account); err != nil {
		return dbError(err)
	}
	_, err := tx.Exec(ctx,
		`INSERT INTO credits.closed_accounts (account_id, heir_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, account, dbscope.NullText(heirID))
	if err != nil {
		return dbError(err)
	}
	if err := s.EraseTx(ctx, tx, account); err != nil {
		return err
	}
	return s.inheritTx(ctx, tx, account, heirID)
}

// inheritTx gives an heir what a closed account has available.
func (s *Service) inheritTx(ctx context.Context, tx pgx.Tx, account, heirID string) error {
	if heirID == "" {
		return nil
	}
	if err := s.LockTx(ctx, tx, account, heirID); err != nil {
		return dbError(err)
	}
	a, err := s.lockTx(ctx, tx, account)
	if err != nil {
		return dbError(err)
	}
	left := a.Balance - a.Held
	if left <= 0 {
		return nil
	}
	if err := s.burnTx(ctx, tx, &a); err != nil {
		return dbError(err)
	}
	metadata, err := json.Marshal(map[string]string{"organizationId": OrganizationOf(account), "heirId": heirID})
	if err != nil {
		return err
	}
	e, err := s.postTx(ctx, tx, &a, posting{
		Type: Gift, Spent: left, Unburnt: left, AppID: "credits", Description: "Organization closed", Metadata: metadata,
	})
	if err == nil {
		_, err = tx.Exec(ctx, `SELECT `+functions.Schema+`.draw($1, $2)`, account, e.ID)
	}
	if err == nil {
		_, err = s.GrantTx(ctx, tx, Grant{
			UserID: heirID, Amount: left, Type: Gift, Source: SourceGift, AppID: "credits",
			Description: "Left of a closed organization", Metadata: metadata, Gift: e.ID,
		})
	}
	return dbError(err)
}

// inheritance is what a closed account has for its heir.
type inheritance struct{ AccountID, HeirID string }

// inherit passes on what came in on closed accounts since.
func (s *Service) inherit(ctx context.Context) error {
	list, err := dbscope.List[inheritance](ctx, s.db, dbscope.System(),
		`SELECT c.account_id, c.heir_id
		 FROM credits.closed_accounts AS c
		 JOIN credits.balances AS b ON b.user_id = c.account_id
		 WHERE b.balance > b.held AND c.heir_id IS NOT NULL AND `+functions.Schema+`.lives(c.heir_id)
		 LIMIT $1`, jobLimit)
	for _, i := range list {
		again := s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
			return s.inheritTx(ctx, tx, i.AccountID, i.HeirID)
		})
		err = errors.Join(err, again)
	}
	return err
}
