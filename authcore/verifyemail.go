package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/membership"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// verifyTTL is how long the link that confirms an address works.
const verifyTTL = 24 * time.Hour

// pending is a registration whose address is not proven. Each of one address is
// pending by itself: the password and name of the one count whose mail comes
// back. PasswordHash is empty where the account has its password already.
type pending struct {
	Name         string `json:"name,omitempty"`
	PasswordHash string `json:"passwordHash,omitempty"`
	RedirectTo   string `json:"redirectTo,omitempty"`
	ReturnTo     string `json:"returnTo,omitempty"`
	// Organization is what was registered with the account.
	Organization *organization.New `json:"organization,omitempty"`
	Client       principal.Client  `json:"client"`
}

// askForProofTx sends the link that confirms an address. Who has been sent many
// is sent no more, and nobody is told.
func (s *Service) askForProofTx(ctx context.Context, tx pgx.Tx, u User, p pending) error {
	token, err := challenge.MakeTx(ctx, tx, challenge.New{
		Purpose: challenge.VerifyEmail, UserID: u.ID, Address: u.Email, Data: p, TTL: verifyTTL,
	})
	if errors.Is(err, challenge.ErrTooMany) {
		return nil
	}
	if err != nil {
		return err
	}
	name := u.Name
	if p.PasswordHash != "" {
		name = p.Name
	}
	return s.mailer.PutTx(ctx, tx, notice.Notice{
		Kind: notice.VerifyEmail, UserID: u.ID, To: u.Email, Name: name, Token: token, ValidFor: verifyTTL,
		RedirectTo: p.RedirectTo, Client: p.Client, At: s.now(),
	})
}

// registerAgainTx answers a registration with an address that has an account,
// where nobody may learn that: whoever reads its mail is told.
func (s *Service) registerAgainTx(ctx context.Context, tx pgx.Tx, owner User, p pending) error {
	if !owner.EmailVerified {
		return s.askForProofTx(ctx, tx, owner, p)
	}
	_, err := challenge.MakeTx(ctx, tx, challenge.New{
		Purpose: challenge.Notice, UserID: owner.ID, Address: owner.Email, TTL: time.Hour,
	})
	if errors.Is(err, challenge.ErrTooMany) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.mailer.PutTx(ctx, tx, notice.Notice{
		Kind: notice.AccountExists, UserID: owner.ID, To: owner.Email, Name: owner.Name, Client: p.Client, At: s.now(),
	})
}

// ResendVerification sends the links of an unproven address again, one for each
// registration of it. It tells nothing of whether there is one.
func (s *Service) ResendVerification(ctx context.Context, client principal.Client, email, redirectTo string) error {
	return s.mail(ctx, func(ctx context.Context, tx pgx.Tx) error {
		u, err := userOfAddressTx(ctx, tx, email)
		if err != nil {
			return err
		}
		if u.ID != "" && !u.EmailVerified {
			return s.askAgainTx(ctx, tx, client, u, redirectTo)
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "verification_requested", UserID: u.ID, Client: client})
	})
}

// askAgainTx sends the links of an unproven address again.
func (s *Service) askAgainTx(ctx context.Context, tx pgx.Tx, client principal.Client, u User, redirectTo string) error {
	open, err := challenge.OpenTx(ctx, tx, challenge.VerifyEmail, u.ID)
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, c := range open {
		var p pending
		if err := json.Unmarshal(c.Data, &p); err != nil {
			return err
		}
		if seen[p.PasswordHash] {
			continue
		}
		seen[p.PasswordHash] = true
		if redirectTo != "" {
			p.RedirectTo = redirectTo
		}
		if err := s.askForProofTx(ctx, tx, u, p); err != nil {
			return err
		}
	}
	if len(open) == 0 {
		if err := s.askForProofTx(ctx, tx, u, pending{RedirectTo: redirectTo, Client: client}); err != nil {
			return err
		}
	}
	return audit.RecordTx(ctx, tx, audit.Event{Type: "verification_requested", UserID: u.ID, Client: client})
}

// userOfAddressTx finds who may use an address, the zero User where nobody does.
func userOfAddressTx(ctx context.Context, tx pgx.Tx, email string) (User, error) {
	u, err := dbscope.TxRow[User](ctx, tx,
		`SELECT `+account.Columns+` FROM auth.users AS u WHERE u.email = $1 AND `+account.Usable+` FOR UPDATE`, address.Lookup(email))
	if errors.Is(err, pgx.ErrNoRows) {
		return User{}, nil
	}
	return u, err
}

// ConfirmedEmail is an address that has been proven. RedirectTo is the checked
// origin of who asked for it, and ReturnTo the checked target that they were on the way
// to; either may be empty.
type ConfirmedEmail struct {
	User       User
	RedirectTo string
	ReturnTo   string
}

// ConfirmEmail takes the token of a link that confirms an address. The password
// and name of the registration it belongs to are the account's from then on; what
// others have registered with the address dies, with its sessions. A token that
// came back before counts as long as its address is still the account's. It fails
// with [challenge.ErrUnknown] or [challenge.ErrExpired].
func (s *Service) ConfirmEmail(ctx context.Context, client principal.Client, token string) (ConfirmedEmail, error) {
	var done ConfirmedEmail
	var proven bool
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) (revs []revocation.Revocation, err error) {
		done, proven = ConfirmedEmail{}, false
		c, err := challenge.FindTx(ctx, tx, challenge.VerifyEmail, token)
		if err != nil {
			return nil, err
		}
		done.User, err = userOfAddressTx(ctx, tx, c.Address)
		switch {
		case err != nil:
			return nil, err
		case done.User.ID != c.UserID:
			return nil, challenge.ErrExpired
		case c.ConsumedAt != nil && done.User.EmailVerified:
			return nil, nil
		case c.ConsumedAt != nil, c.Expired:
			return nil, challenge.ErrExpired
		}
		var p pending
		if err := json.Unmarshal(c.Data, &p); err != nil {
			return nil, err
		}
		done.RedirectTo, done.ReturnTo = p.RedirectTo, p.ReturnTo
		if done.User.EmailVerified {
			return nil, challenge.ConsumeTx(ctx, tx, c)
		}
		proven = true
		if err := challenge.ConsumeTx(ctx, tx, c); err != nil {
			return nil, err
		}
		if err := challenge.EndTx(ctx, tx, challenge.VerifyEmail, c.UserID); err != nil {
			return nil, err
		}
		return s.proveTx(ctx, tx, audit.Event{Type: "email_verified", UserID: c.UserID, Client: client}, p)
	})
	if err != nil || !proven {
		return done, err
	}
	done.User.EmailVerified = true
	s.hooks.Verified(context.WithoutCancel(ctx), done.User)
	return done, nil
}

// proveTx notes that the account's address is proven. Where the registration
// that did it is not the one whose password the account has, all sessions end.
func (s *Service) proveTx(ctx context.Context, tx pgx.Tx, e audit.Event, p pending) ([]revocation.Revocation, error) {
	if _, err := tx.Exec(ctx,
		`UPDATE auth.users SET email_verified = true, name = CASE WHEN $3 THEN $2 ELSE name END, updated_at = now()
		 WHERE id = $1`, e.UserID, p.Name, p.PasswordHash != ""); err != nil {
		return nil, err
	}
	if err := audit.RecordTx(ctx, tx, e); err != nil {
		return nil, err
	}
	var another bool
	if p.PasswordHash != "" {
		tag, err := tx.Exec(ctx,
			`INSERT INTO auth.accounts AS a (id, account_id, provider_id, user_id, password)
			 VALUES ($3, $1, 'credential', $1, $2)
			 ON CONFLICT (user_id) WHERE provider_id = 'credential' DO UPDATE SET password = excluded.password, updated_at = now()
			 WHERE a.password IS DISTINCT FROM excluded.password`, e.UserID, p.PasswordHash, ids.New())
		if err != nil {
			return nil, err
		}
		another = tag.RowsAffected() > 0
	}
	if another {
		if err := dropClaimsTx(ctx, tx, e.UserID); err != nil {
			return nil, err
		}
		if err := membership.ReplaceRegisteredTx(ctx, tx, e, p.Organization); err != nil {
			return nil, err
		}
	}
	cut, err := revocation.CutUserTx(ctx, tx, e.UserID, revocation.ReasonVerified)
	if err != nil || !another {
		return []revocation.Revocation{cut}, err
	}
	revs, err := session.RevokeTx(ctx, tx, audit.Event{Type: "session_revoked", UserID: e.UserID, Client: e.Client}, revocation.ReasonVerified,
		`s.user_id = $1 AND s.revoked_at IS NULL`, e.UserID)
	return append(revs, cut), err
}
