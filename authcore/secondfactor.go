package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/twofactor"
)

const (
	secondFactorTTL  = 10 * time.Minute
	trustedDeviceTTL = 30 * 24 * time.Hour
)

// FactorKind is what somebody can be asked for to show who they are.
type FactorKind = twofactor.Kind

// The kinds.
const (
	FactorPassword   FactorKind = "password"
	FactorTOTP       FactorKind = "totp"
	FactorBackupCode FactorKind = "backup_code"
	FactorEmailCode  FactorKind = "email_code"
	FactorPasskey    FactorKind = "passkey"
	// FactorProvider is a provider whose account is linked.
	FactorProvider FactorKind = "provider"

	confirmTOTP FactorKind = "confirm_totp" // a code of a secret that does not count yet
)

// heldProof is what a challenge for the second factor knows of the first.
type heldProof struct {
	Methods      principal.Methods `json:"methods"`
	PasswordHash *string           `json:"passwordHash,omitempty"`
	Lockout      string            `json:"lockout,omitempty"`
	Persistent   bool              `json:"persistent"`
	Provider     string            `json:"provider,omitempty"`
	Link         *federation.New   `json:"link,omitempty"`
}

// FactorAnswer meets a challenge for the second factor. Kind is empty where the
// form of the code tells. TrustDevice asks for a token that spares this device
// the second factor for 30 days.
type FactorAnswer struct {
	Challenge   string
	Kind        FactorKind
	Code        string
	TrustDevice bool
}

// askSecondFactor fails with [*SecondFactorError] where the account has a second
// factor and the device is not trusted.
func (s *Service) askSecondFactor(ctx context.Context, client principal.Client, p proof, persistent bool) error {
	if !p.TwoFactor {
		return nil
	}
	var needed *SecondFactorError
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		trusted, err := trustedTx(ctx, tx, p.User.ID, client.TrustedDevices)
		if err != nil || trusted {
			return err
		}
		methods, err := s.secondFactorsTx(ctx, tx, p.User.ID)
		if err != nil {
			return err
		}
		token, err := challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.SecondFactor, UserID: p.User.ID, Address: p.User.Email, TTL: secondFactorTTL, Unbounded: true,
			Data: heldProof{Methods: p.Methods, PasswordHash: p.PasswordHash, Lockout: p.Lockout, Persistent: persistent, Provider: p.Provider, Link: p.Link},
		})
		needed = &SecondFactorError{Challenge: token, Methods: methods, ExpiresIn: secondFactorTTL}
		return err
	})
	if err != nil {
		return err
	}
	if needed != nil {
		s.observeSignIn("second_factor")
		return needed
	}
	return nil
}

// secondFactorsTx are the kinds that an account can meet a challenge with.
func (s *Service) secondFactorsTx(ctx context.Context, tx pgx.Tx, userID string) ([]FactorKind, error) {
	state, err := s.factors.StateTx(ctx, tx, userID)
	if err != nil || !state.Enabled {
		return nil, err
	}
	methods := []FactorKind{FactorTOTP}
	if state.BackupCodes > 0 {
		methods = append(methods, FactorBackupCode)
	}
	keys, err := passkey.CountTx(ctx, tx, userID)
	if keys > 0 {
		methods = append(methods, FactorPasskey)
	}
	return methods, err
}

// PendingSecondFactor are the kinds that a challenge for the second factor can be
// met with. It takes nothing, and fails with [ErrSecondFactorExpired].
func (s *Service) PendingSecondFactor(ctx context.Context, token string) (methods []FactorKind, err error) {
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		c, _, err := secondFactorTx(ctx, tx, token)
		if err != nil {
			return err
		}
		methods, err = s.secondFactorsTx(ctx, tx, c.UserID)
		return err
	})
	return methods, err
}

// CompleteSignIn meets the challenge of a [*SecondFactorError] and begins an app
// session. trusted is the token for a device to be trusted, where that was asked
// for. It fails with [ErrSecondFactorFailed], [ErrSecondFactorExpired],
// [*LockedError] or, where the password has changed since,
// [ErrInvalidCredentials].
func (s *Service) CompleteSignIn(ctx context.Context, client principal.Client, a FactorAnswer) (tokens Tokens, trusted string, err error) {
	p, _, trusted, err := s.meetSecondFactor(ctx, client, a)
	if err != nil {
		return Tokens{}, "", err
	}
	tokens, err = s.beginApp(ctx, client, p)
	return tokens, trusted, err
}

// CompleteBrowserSignIn is CompleteSignIn for a browser session.
func (s *Service) CompleteBrowserSignIn(ctx context.Context, client principal.Client, a FactorAnswer) (b BrowserSession, trusted string, err error) {
	p, persistent, trusted, err := s.meetSecondFactor(ctx, client, a)
	if err != nil {
		return BrowserSession{}, "", err
	}
	b, err = s.beginBrowser(ctx, client, p, persistent)
	return b, trusted, err
}

// meetSecondFactor takes a code for a challenge, which is over with a right one.
func (s *Service) meetSecondFactor(ctx context.Context, client principal.Client, a FactorAnswer) (p proof, persistent bool, trusted string, err error) {
	var right bool
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		c, u, err := secondFactorTx(ctx, tx, a.Challenge)
		if err != nil {
			return err
		}
		if right, err = s.tryCodeTx(ctx, tx, client, u, a.Kind, a.Code); err != nil || !right {
			return err
		}
		var held heldProof
		if err := json.Unmarshal(c.Data, &held); err != nil {
			return err
		}
		p = proof{
			User: u, Methods: held.Methods.With(principal.MethodOTP), PasswordHash: held.PasswordHash, Lockout: held.Lockout,
			Provider: held.Provider, Link: held.Link,
		}
		persistent = held.Persistent
		if a.TrustDevice {
			trusted, err = challenge.MakeTx(ctx, tx, challenge.New{
				Purpose: challenge.TrustedDevice, UserID: u.ID, Address: u.Email, TTL: trustedDeviceTTL, Unbounded: true,
			})
			if err != nil {
				return err
			}
		}
		return challenge.ConsumeTx(ctx, tx, c)
	})
	if err == nil && !right {
		s.mailer.Wake() // the account may be locked now
		s.observeSignIn("second_factor_failed")
		err = ErrSecondFactorFailed
	}
	return p, persistent, trusted, err
}

// maxTrusted bounds the tokens of one request that are looked up.
const maxTrusted = 4

// trustedTx reports whether one of the tokens spares the user the second factor.
func trustedTx(ctx context.Context, tx pgx.Tx, userID string, tokens []string) (bool, error) {
	for i, token := range tokens {
		if i == maxTrusted {
			break
		}
		c, err := challenge.FindTx(ctx, tx, challenge.TrustedDevice, token)
		switch {
		case errors.Is(err, challenge.ErrUnknown):
		case err != nil:
			return false, err
		case c.UserID == userID && !c.Over():
			return true, nil
		}
	}
	return false, nil
}
