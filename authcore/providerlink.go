package authcore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// linkProved links the account of a provider that somebody has signed in with for
// the first time, now that they have shown all there is to show, the second factor
// included.
func (s *Service) linkProved(ctx context.Context, client principal.Client, p proof) (proof, error) {
	if p.Link == nil {
		return p, nil
	}
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		u, err := account.LockTx(ctx, tx, p.User.ID)
		if errors.Is(err, ErrUserNotFound) {
			err = ErrInvalidCredentials
		}
		if err != nil {
			return nil, err
		}
		if !u.EmailVerified || u.Email != p.User.Email {
			return nil, ErrInvalidCredentials // the address is what the link stands on
		}
		if err := s.linkTx(ctx, tx, client, u, *p.Link); err != nil {
			return nil, err
		}
		revs, err := s.roleFromTx(ctx, tx, u, p.Link.Provider, p.Link.Role)
		if err != nil {
			return nil, err
		}
		p.User, err = account.LockTx(ctx, tx, u.ID)
		return revs, err
	})
	if err != nil {
		return p, s.notAdmitted(ctx, client, p.Provider, p.User.ID, err)
	}
	p.Link = nil
	s.mailer.Wake()
	return p, nil
}

// linkTx links an account of a provider to a user whose row is locked. One that is
// theirs already stays as it is.
func (s *Service) linkTx(ctx context.Context, tx pgx.Tx, client principal.Client, u User, n federation.New) error {
	err := federation.LinkTx(ctx, tx, u.ID, n)
	if errors.Is(err, federation.ErrTaken) {
		known, err := federation.FindTx(ctx, tx, n.Provider, n.Subject)
		if err != nil || known.UserID == u.ID {
			return err
		}
		return ErrLinkedElsewhere
	}
	if errors.Is(err, federation.ErrTooMany) {
		return ErrTooManyAccounts
	}
	if err != nil {
		return err
	}
	if err := audit.RecordTx(ctx, tx, audit.Event{Type: "account_linked", UserID: u.ID, Client: client,
		Metadata: map[string]any{"provider": n.Provider}}); err != nil || !u.EmailVerified {
		return err
	}
	return s.mailer.PutTx(ctx, tx, notice.Notice{
		Kind: notice.FactorAdded, UserID: u.ID, To: u.Email, Name: u.Name, Factor: FactorProvider, Client: client, At: s.now(),
	})
}

// linkIdentity links an identity to who asked for it while signed in, in a session
// that is there still. Addresses decide nothing: the user has shown both sides.
func (s *Service) linkIdentity(ctx context.Context, client principal.Client, userID, sessionID string, id provider.Identity) error {
	link, err := federation.Seal(s.cfg.Secrets, id)
	if err != nil {
		return err
	}
	err = s.store.OnAccount(ctx, userID, func(ctx context.Context, tx pgx.Tx, u User) error {
		if err := liveTx(ctx, tx, userID, sessionID); err != nil {
			return err
		}
		link.Role = nil // is given by signing in
		return s.linkTx(ctx, tx, client, u, link)
	})
	if errors.Is(err, ErrUserNotFound) {
		err = &provider.Error{Reason: ReasonSessionOver}
	}
	if err != nil {
		return s.notAdmitted(ctx, client, id.Provider, userID, err)
	}
	return nil
}

// liveTx fails where a session has ended.
func liveTx(ctx context.Context, tx pgx.Tx, userID, sessionID string) error {
	_, err := dbscope.TxRow[struct{ ID string }](ctx, tx,
		`SELECT s.id FROM auth.sessions AS s WHERE s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL AND s.expires_at > now() FOR SHARE`, sessionID, userID)
	return account.NotFound(err, &provider.Error{Reason: ReasonSessionOver})
}

// proveByIdentity takes an account of a provider that is linked for a proof of who
// the caller is.
func (s *Service) proveByIdentity(ctx context.Context, client principal.Client, userID, sessionID string, id provider.Identity) error {
	c := principal.Caller{UserID: userID, SessionID: sessionID, Client: client}
	err := s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, _ User) error {
		known, err := federation.FindTx(ctx, tx, id.Provider, id.Subject)
		if errors.Is(err, federation.ErrNotFound) || err == nil && known.UserID != userID {
			return &provider.Error{Reason: ReasonNotLinked}
		}
		if err != nil {
			return err
		}
		_, err = s.provedTx(ctx, tx, c, principal.MethodFederated)
		return err
	})
	if errors.Is(err, ErrUserNotFound) || errors.Is(err, ErrSessionNotFound) {
		err = &provider.Error{Reason: ReasonSessionOver}
	}
	if err != nil {
		return s.refused(ctx, client, userID, id.Provider, err)
	}
	s.Forget(userID)
	return nil
}
