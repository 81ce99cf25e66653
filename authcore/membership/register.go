package membership

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
)

// FoundTx makes an organisation that was registered with an account. Its slug
// gives way where somebody else has it.
func FoundTx(ctx context.Context, tx pgx.Tx, ownerID string, client principal.Client, n organization.New) error {
	n.Slug = ""
	if _, err := organization.InsertTx(ctx, tx, n, ownerID); err != nil {
		return err
	}
	return audit.RecordTx(ctx, tx, organizationEvent("organization_created", ownerID, client, n.ID, nil))
}

// ReplaceRegisteredTx puts the organisation of the registration that proved the
// address of an account, if it had one, in the place of what another registration
// of the address has made: nobody else is in that, for who has proven no address
// can invite nobody.
func ReplaceRegisteredTx(ctx context.Context, tx pgx.Tx, e audit.Event, n *organization.New) error {
	owned, err := organization.LockAllOfTx(ctx, tx, e.UserID)
	if err != nil {
		return err
	}
	for _, id := range owned {
		members, err := organization.MembersTx(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(members) > 1 {
			continue
		}
		if err := organization.DeleteTx(ctx, tx, id); err != nil {
			return err
		}
	}
	if n == nil {
		return nil
	}
	return FoundTx(ctx, tx, e.UserID, e.Client, *n)
}
