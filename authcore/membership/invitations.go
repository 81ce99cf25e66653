package membership

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
)

// Invite invites an address into an organisation, as an owner or admin of it whose
// own address is proven, and mails that. It fails with [account.ErrEmailNotVerified],
// [account.ErrInvalidInput], [organization.ErrNotFound], [organization.ErrForbidden],
// [organization.ErrAlreadyMember], [organization.ErrAlreadyInvited],
// [organization.ErrFull], [organization.ErrNoSeat],
// [organization.ErrTooManyInvited] or [organization.ErrInvitedTooOften].
func (s *Directory) Invite(ctx context.Context, c principal.Caller, organizationID, email string, role organization.Role) (made organization.Invitation, err error) {
	if !role.Assignable() {
		return made, fmt.Errorf("%w: role %q is not admin or member", account.ErrInvalidInput, role)
	}
	to, err := address.Canonical(email)
	if err != nil {
		return made, fmt.Errorf("%w: %w", account.ErrInvalidInput, err)
	}
	err = s.changeOrganization(ctx, c, organizationID, organization.Role.Manages,
		func(ctx context.Context, tx pgx.Tx, _ organization.Organization, _ actor) ([]revocation.Revocation, error) {
			inviter, err := account.LockTx(ctx, tx, c.UserID)
			if err != nil {
				return nil, err
			}
			if !inviter.EmailVerified {
				return nil, account.ErrEmailNotVerified
			}
			seats, err := s.with.SeatsTx(ctx, tx, organizationID)
			if err != nil {
				return nil, err
			}
			if made, err = organization.InviteTx(ctx, tx, organizationID, to, role, c.UserID, seats); err != nil {
				return nil, err
			}
			if err := audit.RecordTx(ctx, tx, organizationEvent("organization_invited", c.UserID, c.Client, organizationID,
				map[string]any{"invitationId": made.ID, "role": role})); err != nil {
				return nil, err
			}
			return nil, s.with.Mailer.PutTx(ctx, tx, notice.Notice{
				Kind: notice.Invitation, To: made.Email, Invitation: made, ValidFor: organization.InvitationTTL,
				// What the invited are told of who invites is their name.
				Client: principal.Client{Language: c.Client.Language}, At: s.with.Now(),
			})
		})
	if err == nil {
		s.with.Mailer.Wake()
	}
	return made, err
}

// Invitations are the open ones of an organisation, the newest first, for who
// manages it and for admins of the platform. It fails with
// [organization.ErrNotFound] or [organization.ErrForbidden].
func (s *Directory) Invitations(ctx context.Context, c principal.Caller, organizationID string) (list []organization.Invitation, err error) {
	if _, err := s.Organization(ctx, c, organizationID); err != nil {
		return nil, err
	}
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := actorTx(ctx, tx, c, organizationID, organization.Role.Manages); err != nil && !mayReadAll(c) {
			return err
		}
		list, err = organization.InvitationsTx(ctx, tx, organizationID)
		return err
	})
	return list, err
}

// OwnInvitations are the open ones to the caller's address, the newest first; none
// where that is not proven.
func (s *Directory) OwnInvitations(ctx context.Context, c principal.Caller) ([]organization.Invitation, error) {
	return organization.InvitationsTo(ctx, s.with.DB, c.UserID)
}

// AcceptedInvitation is what an invitation led to.
type AcceptedInvitation struct {
	Invitation organization.Invitation
	Member     organization.Member
	ActiveOrganization
}

// AcceptInvitation makes the caller a member of the organisation that they are
// invited into, by their proven address, and that the active one of the session
// they act from. It fails with [organization.ErrInvitationNotFound],
// [organization.ErrNotRecipient], [account.ErrEmailNotVerified],
// [organization.ErrAlreadyMember], [organization.ErrFull], [organization.ErrNoSeat], [account.ErrNotFound] or
// [session.ErrNotFound].
func (s *Directory) AcceptInvitation(ctx context.Context, c principal.Caller, id string) (AcceptedInvitation, error) {
	var done AcceptedInvitation
	var u account.User
	var ses session.Session
	err := s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		i, err := organization.FindInvitationTx(ctx, tx, id)
		if err != nil {
			return err
		}
		if u, err = recipientTx(ctx, tx, c, i); err != nil {
			return err
		}
		seats, err := s.with.SeatsTx(ctx, tx, i.OrganizationID)
		if err != nil {
			return err
		}
		if err := organization.RoomTx(ctx, tx, i.OrganizationID, seats); err != nil {
			return err
		}
		if done.Member, err = organization.AddMemberTx(ctx, tx, i.OrganizationID, u.ID, i.Role); err != nil {
			return err
		}
		if done.Invitation, err = organization.AnswerTx(ctx, tx, i, organization.StatusAccepted); err != nil {
			return err
		}
		if err := audit.RecordTx(ctx, tx, organizationEvent("organization_joined", u.ID, c.Client, i.OrganizationID,
			map[string]any{"invitationId": i.ID, "role": i.Role})); err != nil {
			return err
		}
		o, err := organization.HoldTx(ctx, tx, i.OrganizationID)
		if err != nil {
			return err
		}
		done.Organization = &o
		ses, err = activateTx(ctx, tx, c, i.OrganizationID)
		return err
	})
	if err != nil {
		return AcceptedInvitation{}, err
	}
	done.ActiveOrganization, err = s.activated(done.ActiveOrganization, u, ses)
	return done, err
}

// recipientTx locks the caller's account, if an invitation is to their proven
// address.
func recipientTx(ctx context.Context, tx pgx.Tx, c principal.Caller, i organization.Invitation) (account.User, error) {
	u, err := account.LockTx(ctx, tx, c.UserID)
	switch {
	case err != nil:
		return account.User{}, err
	case u.Email != i.Email:
		return account.User{}, organization.ErrNotRecipient
	case !u.EmailVerified:
		return account.User{}, account.ErrEmailNotVerified
	}
	return u, nil
}

// EndInvitation cancels an invitation as who manages the organisation, or rejects
// it as who is invited; its status says which. It fails with
// [organization.ErrInvitationNotFound], [account.ErrEmailNotVerified] or
// [organization.ErrForbidden].
func (s *Directory) EndInvitation(ctx context.Context, c principal.Caller, id string) (i organization.Invitation, err error) {
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if i, err = organization.FindInvitationTx(ctx, tx, id); err != nil {
			return err
		}
		status, kind := organization.StatusCanceled, "organization_invitation_canceled"
		if _, err := actorTx(ctx, tx, c, i.OrganizationID, organization.Role.Manages); err != nil {
			if !errors.Is(err, organization.ErrForbidden) && !errors.Is(err, organization.ErrNotFound) {
				return err
			}
			status, kind = organization.StatusRejected, "organization_invitation_rejected"
			if _, err := recipientTx(ctx, tx, c, i); errors.Is(err, organization.ErrNotRecipient) {
				return organization.ErrForbidden
			} else if err != nil {
				return err
			}
		}
		if i, err = organization.AnswerTx(ctx, tx, i, status); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, organizationEvent(kind, c.UserID, c.Client, i.OrganizationID, map[string]any{"invitationId": i.ID}))
	})
	return i, err
}
