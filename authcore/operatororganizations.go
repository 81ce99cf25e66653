package authcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
)

// AllOrganizations lists organisations, the newest first.
func (s *Service) AllOrganizations(ctx context.Context, _ principal.Operator, q organization.Query) ([]organization.Listed, error) {
	return organization.All(ctx, s.db, q)
}

// OrganizationByIDOrSlug finds an organisation, or fails with
// [organization.ErrNotFound].
func (s *Service) OrganizationByIDOrSlug(ctx context.Context, _ principal.Operator, idOrSlug string) (organization.Listed, error) {
	return organization.ByIDOrSlug(ctx, s.db, idOrSlug)
}

// MembersOf are the members of an organisation, the oldest first. It fails with
// [organization.ErrNotFound].
func (s *Service) MembersOf(ctx context.Context, _ principal.Operator, organizationID string) ([]organization.Member, error) {
	return organization.Members(ctx, s.db, organizationID, "", true)
}

// CreateOrganizationFor makes an organisation that a user owns, whose address must
// be proven. It fails with [ErrUserNotFound], [ErrEmailNotVerified],
// [organization.ErrSlugTaken] or [organization.ErrInvalidInput].
func (s *Service) CreateOrganizationFor(ctx context.Context, op principal.Operator, ownerID string, n organization.New) (made organization.Organization, err error) {
	if n, err = n.Check(); err != nil {
		return made, err
	}
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		owner, err := lockUserTx(ctx, tx, ownerID)
		if err != nil {
			return err
		}
		if !owner.EmailVerified {
			return ErrEmailNotVerified
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
func (s *Service) RemoveOrganization(ctx context.Context, op principal.Operator, organizationID string) error {
	_, err := s.cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		o, err := organization.LockTx(ctx, tx, organizationID)
		if err != nil {
			return nil, err
		}
		return actor{operator: op}.deleteTx(ctx, tx, o)
	})
	return err
}
