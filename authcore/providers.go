package authcore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/revocation"
)

// ProviderInfo is a provider as people see it.
type ProviderInfo struct{ ID, Name string }

// Providers are those that may be signed in with, in their order.
func (s *Service) Providers() []ProviderInfo {
	list := make([]ProviderInfo, len(s.provided))
	for i, p := range s.provided {
		list[i] = ProviderInfo{p.ID, p.Name}
	}
	return list
}

// PasswordsOff reports whether the service is signed in to by providers alone.
func (s *Service) PasswordsOff() bool {
	for _, p := range s.provided {
		if p.Only {
			return true
		}
	}
	return false
}

// provider finds one by its id, or fails with [ErrUnknownProvider].
func (s *Service) provider(id string) (*provider.Provider, error) {
	for _, p := range s.provided {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, ErrUnknownProvider
}

func (s *Service) providerIDs() []string {
	list := make([]string, len(s.provided))
	for i, p := range s.provided {
		list[i] = p.ID
	}
	return list
}

// LinkedAccount is an account of a provider that its user signs in with. Offered
// says that the provider is one still.
type LinkedAccount struct {
	federation.Account
	ProviderName string
	Offered      bool
}

// LinkedAccounts are those of the caller, the oldest first.
func (s *Service) LinkedAccounts(ctx context.Context, c principal.Caller) (list []LinkedAccount, err error) {
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		accounts, err := federation.ListTx(ctx, tx, c.UserID)
		list = make([]LinkedAccount, len(accounts))
		for i, a := range accounts {
			list[i] = LinkedAccount{Account: a, ProviderName: a.Provider}
			if p, err := s.provider(a.Provider); err == nil {
				list[i].ProviderName, list[i].Offered = p.Name, true
			}
		}
		return err
	})
	return list, err
}

// linkedProvidersTx are the providers that somebody can sign in with: those that
// are offered and linked.
func (s *Service) linkedProvidersTx(ctx context.Context, tx pgx.Tx, userID string) (list []string, err error) {
	if len(s.provided) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `SELECT DISTINCT provider_id FROM auth.accounts WHERE user_id = $1 AND provider_id = ANY($2::text[])`, userID, s.providerIDs())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// leftWayInTx fails with [ErrLastCredential] where an account could not be signed
// in to any more: by a password, a passkey or a provider.
func (s *Service) leftWayInTx(ctx context.Context, tx pgx.Tx, userID string) error {
	password, err := account.HasPasswordTx(ctx, tx, userID)
	if err != nil || password && !s.PasswordsOff() {
		return err
	}
	keys, err := passkey.CountTx(ctx, tx, userID)
	if err != nil || keys > 0 {
		return err
	}
	linked, err := s.linkedProvidersTx(ctx, tx, userID)
	if err != nil || len(linked) > 0 {
		return err
	}
	return ErrLastCredential
}

// UnlinkAccount takes an account of a provider from the caller, who must have
// authenticated recently, and with it a role that the provider has given. It fails
// with [*ReauthenticationError], [ErrAccountNotFound] or [ErrLastCredential].
func (s *Service) UnlinkAccount(ctx context.Context, c principal.Caller, id string) error {
	if err := s.RequireRecent(ctx, c); err != nil {
		return err
	}
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		u, err := account.LockTx(ctx, tx, c.UserID)
		if err != nil {
			return nil, err
		}
		gone, err := federation.UnlinkTx(ctx, tx, u.ID, id)
		if errors.Is(err, federation.ErrNotFound) {
			err = ErrAccountNotFound
		}
		if err != nil {
			return nil, err
		}
		if err := s.leftWayInTx(ctx, tx, u.ID); err != nil {
			return nil, err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "account_unlinked", UserID: u.ID, Client: c.Client,
			Metadata: map[string]any{"provider": gone.Provider}}); err != nil {
			return nil, err
		}
		if err := s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.FactorRemoved, UserID: u.ID, To: u.Email, Name: u.Name, Factor: FactorProvider, Client: c.Client, At: s.now(),
		}); err != nil {
			return nil, err
		}
		if gone.Role == nil || *gone.Role != u.Role {
			return nil, nil
		}
		user := principal.RoleUser
		return s.roleFromTx(ctx, tx, u, gone.Provider, &user)
	})
	if err == nil {
		s.mailer.Wake()
		s.Forget(c.UserID)
	}
	return err
}

// roleFromTx gives a user the role that a provider says, and cuts off tokens with
// another one; the sessions live on. Accounts of services keep theirs.
func (s *Service) roleFromTx(ctx context.Context, tx pgx.Tx, u User, providerID string, role *principal.Role) ([]revocation.Revocation, error) {
	if role == nil || *role == u.Role || u.Role == principal.RoleService {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, `UPDATE auth.users SET role = $2::text::auth.user_role, updated_at = now() WHERE id = $1`, u.ID, string(*role)); err != nil {
		return nil, err
	}
	if err := audit.RecordTx(ctx, tx, audit.Event{Type: "role_changed", UserID: u.ID,
		By: principal.Operator{Name: "provider " + providerID}, Metadata: map[string]any{"role": *role, "provider": providerID}}); err != nil {
		return nil, err
	}
	cut, err := revocation.CutUserTx(ctx, tx, u.ID, revocation.ReasonRoleChanged)
	return []revocation.Revocation{cut}, err
}

// dropWaysInTx takes from an account what its address never proved to be its
// owner's: accounts of providers, and passkeys. The password stays.
func dropWaysInTx(ctx context.Context, tx pgx.Tx, userID string) error {
	if err := federation.UnlinkAllTx(ctx, tx, userID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM auth.passkeys WHERE user_id = $1`, userID)
	return err
}

// claims are what whoever registered an address that was never proven may have
// left in the account, to come back by or to act through.
var claims = []string{
	`DELETE FROM auth.two_factor_auth WHERE user_id = $1`,
	`UPDATE auth.challenges SET expires_at = now(), data = '{}' WHERE user_id = $1 AND consumed_at IS NULL AND expires_at > now()`,
	`UPDATE auth.api_keys SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL`,
	`DELETE FROM auth.matrix_user_links WHERE user_id = $1`,
	`DELETE FROM auth.oauth_access_tokens WHERE user_id = $1`,
	`DELETE FROM auth.oauth_authorization_codes WHERE user_id = $1`,
	`DELETE FROM auth.oauth_consents WHERE user_id = $1`,
	`DELETE FROM auth.provider_flows WHERE user_id = $1`,
}

// dropClaimsTx takes all that from an account whose address somebody else has
// proven. The password and the sessions are for the caller to end.
func dropClaimsTx(ctx context.Context, tx pgx.Tx, userID string) error {
	if err := dropWaysInTx(ctx, tx, userID); err != nil {
		return err
	}
	for _, sql := range claims {
		if _, err := tx.Exec(ctx, sql, userID); err != nil {
			return err
		}
	}
	return nil
}

// resealProviderTokens seals with today's encryption key what an older one has
// sealed, and what the replaced service kept in clear.
func (s *Service) resealProviderTokens(ctx context.Context) error {
	if s.cfg.Keyless {
		return nil
	}
	return s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		n, err := federation.ResealTx(ctx, tx, s.cfg.Secrets, resealLimit)
		if n > 0 && err == nil {
			s.log.Info("tokens of providers are sealed with the first encryption_key now", "accounts", n)
		}
		return err
	})
}
