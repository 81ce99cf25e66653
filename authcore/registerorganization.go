package authcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/ids"
)

// RegisterOrganization makes an account and an organisation that it owns, both or
// neither. It fails as [Service.Register] does, and with
// [organization.ErrInvalidInput]. Where addresses must be proven it tells as
// little: of an address that has an account, user and organisation are nobody's.
// The organisation is then made when the mail of this registration comes back.
func (s *Service) RegisterOrganization(ctx context.Context, client principal.Client, r OrganizationRegistration) (User, organization.Organization, error) {
	n, err := organization.New{ID: ids.New(), Name: r.Organization}.Check()
	if err != nil {
		return User{}, organization.Organization{}, err
	}
	// What the slug becomes is found out before the account is looked for, so that
	// the answer is the same. Should somebody take it meanwhile, it is another.
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) (err error) {
		n.Slug, err = organization.FreeSlugTx(ctx, tx, n.Name)
		return err
	})
	if err != nil {
		return User{}, organization.Organization{}, err
	}
	shown := organization.Organization{ID: n.ID, Name: n.Name, Slug: &n.Slug, CreatedAt: s.now(), UpdatedAt: s.now()}
	u, err := s.makeUser(ctx,
		NewUser{Email: r.Email, Password: r.Password, Name: r.Name, Role: principal.RoleUser},
		signUp{event: audit.Event{Type: "registered", Client: client, Metadata: map[string]any{"organizationId": n.ID}},
			quiet: s.cfg.VerificationRequired, ask: true, redirectTo: r.RedirectTo, organization: &n})
	return u, shown, err
}

// foundTx makes an organisation that was registered with an account. Its slug
// gives way where somebody else has it.
func foundTx(ctx context.Context, tx pgx.Tx, ownerID string, client principal.Client, n organization.New) error {
	n.Slug = ""
	if _, err := organization.InsertTx(ctx, tx, n, ownerID); err != nil {
		return err
	}
	return audit.RecordTx(ctx, tx, organizationEvent("organization_created", ownerID, client, n.ID, nil))
}

// replaceRegisteredTx puts the organisation of the registration that proved the
// address of an account, if it had one, in the place of what another registration
// of the address has made: nobody else is in that, for who has proven no address
// can invite nobody.
func replaceRegisteredTx(ctx context.Context, tx pgx.Tx, e audit.Event, n *organization.New) error {
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
	return foundTx(ctx, tx, e.UserID, e.Client, *n)
}
