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
	if s.PasswordsOff() {
		return User{}, organization.Organization{}, ErrPasswordsOff
	}
	if s.cfg.InvitationRequired {
		return User{}, organization.Organization{}, ErrInvitationRequired
	}
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
