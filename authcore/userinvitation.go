package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
)

// How long an invitation may be good.
const (
	MinInvitation = time.Hour
	MaxInvitation = 90 * 24 * time.Hour
)

var (
	// ErrInvitation means that an invitation is none, is used up or too old, or
	// was sent to another address.
	ErrInvitation = errors.New("Invalid or expired invitation")
	// ErrInvitationRequired means that nobody makes an account without one.
	ErrInvitationRequired = errors.New("Registration is by invitation only")
)

// Invitation lets whoever reads the mail of an address make an account with it,
// once. The account has the role, and its address is proven.
type Invitation struct {
	Address   string
	Role      principal.Role
	ExpiresAt time.Time
}

// invited is what the challenge of an invitation knows.
type invited struct {
	Role principal.Role `json:"role"`
}

// InviteUser mails an invitation, in the language (RFC 5646) where that is one of
// mails; those of the address before are worth nothing any more. It fails with
// [ErrInvalidInput], [ErrEmailTaken] or [challenge.ErrTooMany].
func (s *Service) InviteUser(ctx context.Context, op principal.Operator, email string, role principal.Role, validFor time.Duration, language string) (Invitation, error) {
	to, err := address.Canonical(email)
	if err != nil {
		return Invitation{}, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	if !role.Valid() {
		return Invitation{}, fmt.Errorf("%w: role %q is not user, support, admin or service", ErrInvalidInput, role)
	}
	if validFor < MinInvitation || validFor > MaxInvitation {
		return Invitation{}, fmt.Errorf("%w: an invitation is good for %v to %v, not %v", ErrInvalidInput, MinInvitation, MaxInvitation, validFor)
	}
	err = s.mail(ctx, func(ctx context.Context, tx pgx.Tx) error {
		owner, err := account.OwnerOfAddressTx(ctx, tx, to)
		if err != nil {
			return err
		}
		if owner != nil {
			return ErrEmailTaken
		}
		if err := challenge.EndInvitationsTx(ctx, tx, to); err != nil {
			return err
		}
		token, err := challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.AccountInvitation, Address: to, Data: invited{role}, TTL: validFor,
		})
		if err != nil {
			return err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "user_invited", By: op, Metadata: map[string]any{"role": role}}); err != nil {
			return err
		}
		return s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.AccountInvitation, To: to, Token: token, ValidFor: validFor, Client: principal.Client{Language: language}, At: s.now(),
		})
	})
	return Invitation{to, role, s.now().Add(validFor)}, err
}

// InvitationRequired reports whether nobody makes an account without one.
func (s *Service) InvitationRequired() bool { return s.cfg.InvitationRequired }

// Invitation reads an invitation, and consumes nothing. It fails with
// [ErrInvitation].
func (s *Service) Invitation(ctx context.Context, token string) (i Invitation, err error) {
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		i, _, err = invitationTx(ctx, tx, token)
		return err
	})
	return i, err
}

// invitationTx locks an invitation that is still good.
func invitationTx(ctx context.Context, tx pgx.Tx, token string) (Invitation, challenge.Challenge, error) {
	c, err := challenge.FindTx(ctx, tx, challenge.AccountInvitation, token)
	if errors.Is(err, challenge.ErrUnknown) || err == nil && c.Over() {
		err = ErrInvitation
	}
	if err != nil {
		return Invitation{}, c, err
	}
	var what invited
	if err := json.Unmarshal(c.Data, &what); err != nil {
		return Invitation{}, c, fmt.Errorf("read an invitation: %w", err)
	}
	return Invitation{c.Address, what.Role, c.ExpiresAt}, c, nil
}

// acceptTx consumes the invitation of an account that is being made, and gives
// the account what it says. It fails with [ErrInvitation].
func acceptTx(ctx context.Context, tx pgx.Tx, token string, u *User) error {
	i, c, err := invitationTx(ctx, tx, token)
	if err != nil {
		return err
	}
	if i.Address != u.Email {
		return ErrInvitation
	}
	u.Role, u.EmailVerified = i.Role, true
	return challenge.ConsumeTx(ctx, tx, c)
}
