package membership

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// AllOrganizations lists organisations, the newest first.
func (s *Directory) AllOrganizations(ctx context.Context, _ principal.Operator, q organization.Query) ([]organization.Listed, error) {
	return organization.All(ctx, s.with.DB, q)
}

// OrganizationByIDOrSlug finds an organisation, or fails with
// [organization.ErrNotFound].
func (s *Directory) OrganizationByIDOrSlug(ctx context.Context, _ principal.Operator, idOrSlug string) (organization.Listed, error) {
	return organization.ByIDOrSlug(ctx, s.with.DB, idOrSlug)
}

// MembersOf are the members of an organisation, the oldest first. It fails with
// [organization.ErrNotFound].
func (s *Directory) MembersOf(ctx context.Context, _ principal.Operator, organizationID string) ([]organization.Member, error) {
	return organization.Members(ctx, s.with.DB, organizationID, "", true)
}

// CreateOrganizationFor makes an organisation that a user owns, whose address must
// be proven. It fails with [account.ErrNotFound], [account.ErrEmailNotVerified],
// [organization.ErrSlugTaken] or [organization.ErrInvalidInput].
func (s *Directory) CreateOrganizationFor(ctx context.Context, op principal.Operator, ownerID string, n organization.New) (made organization.Organization, err error) {
	if n, err = n.Check(); err != nil {
		return made, err
	}
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		owner, err := account.LockTx(ctx, tx, ownerID)
		if err != nil {
			return err
		}
		if !owner.EmailVerified {
			return account.ErrEmailNotVerified
		}
		if made, err = organization.InsertTx(ctx, tx, n, owner.ID); err != nil {
			return err
		}
		e := organizationEvent("organization_created", owner.ID, principal.Client{}, made.ID, nil)
		e.By = op
		return audit.RecordTx(ctx, tx, e)
	})
	return made, err
}

// RemoveOrganization deletes an organisation for ever. It fails with
// [organization.ErrNotFound].
func (s *Directory) RemoveOrganization(ctx context.Context, op principal.Operator, organizationID string) error {
	_, err := s.with.Store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		o, err := organization.LockTx(ctx, tx, organizationID)
		if err != nil {
			return nil, err
		}
		return s.deleteOrganizationTx(ctx, tx, actor{operator: op}, o)
	})
	if err == nil {
		s.with.Dissolved(context.WithoutCancel(ctx), organizationID)
	}
	return err
}
