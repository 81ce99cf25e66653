package authcore

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
)

// signInTTL is how long a mailed link, and its code, sign in.
const signInTTL = 10 * time.Minute

// mailedCode is what a challenge to sign in by mail knows: the code, sealed.
type mailedCode struct {
	Code string `json:"code"`
}

// MailSignIn mails a link and a code that sign in; those before stop to work. It
// tells nothing of whether there is an account. An address that is not proven
// yet is asked to be: whoever registered it may be somebody else.
func (s *Service) MailSignIn(ctx context.Context, client principal.Client, email, target string) error {
	err := s.mail(ctx, func(ctx context.Context, tx pgx.Tx) error {
		u, err := userOfAddressTx(ctx, tx, email)
		if err != nil {
			return err
		}
		if u.ID != "" && !u.EmailVerified {
			return s.askAgainTx(ctx, tx, client, u, "")
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "sign_in_link_requested", UserID: u.ID, Client: client}); err != nil || u.ID == "" {
			return err
		}
		if err := challenge.EndTx(ctx, tx, challenge.SignIn, u.ID); err != nil {
			return err
		}
		code, err := s.newMailCode()
		if err != nil {
			return err
		}
		sealed, err := s.cfg.Secrets.Bound().Seal([]byte(code), mailCodePlace(u.ID))
		if err != nil {
			return err
		}
		token, err := challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.SignIn, UserID: u.ID, Address: u.Email, Data: mailedCode{string(sealed)}, TTL: signInTTL,
		})
		if err != nil {
			return err // too many: what was sent before goes on to work
		}
		return s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.MagicLink, UserID: u.ID, To: u.Email, Name: u.Name, Token: token, Code: code, ValidFor: signInTTL,
			RedirectTo: target, Client: client, At: s.now(),
		})
	})
	if errors.Is(err, challenge.ErrTooMany) {
		return nil
	}
	return err
}

// newMailCode is a number of eight digits, each as likely as any other.
func (s *Service) newMailCode() (string, error) {
	if s.fixedCodes.Load() {
		return FixedMailCode, nil
	}
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%0*d", emailCodeDigits, n), nil
}

func mailCodePlace(userID string) []byte { return []byte("sign-in-code/" + userID) }

// isMailedCode compares a code with the one that a challenge was mailed with.
func (s *Service) isMailedCode(c challenge.Challenge, code string) (bool, error) {
	var stored mailedCode
	if err := json.Unmarshal(c.Data, &stored); err != nil {
		return false, err
	}
	want, err := s.cfg.Secrets.Bound().Open([]byte(stored.Code), mailCodePlace(c.UserID))
	if err != nil {
		return false, fmt.Errorf("open a mailed code: %w", err)
	}
	code = strings.NewReplacer(" ", "", "-", "").Replace(code)
	return subtle.ConstantTimeCompare(want, []byte(code)) == 1, nil
}

// SignInByLink takes the token of a mailed link and begins a browser session. It
// fails with [challenge.ErrUnknown], [challenge.ErrExpired] or
// [*SecondFactorError].
func (s *Service) SignInByLink(ctx context.Context, client principal.Client, token string) (BrowserSession, error) {
	if s.PasswordsOff() {
		return BrowserSession{}, ErrPasswordsOff
	}
	p := proof{Methods: principal.MethodsOf(principal.MethodEmail)}
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		c, err := challenge.FindTx(ctx, tx, challenge.SignIn, token)
		if err != nil {
			return err
		}
		if p.User, err = userOfAddressTx(ctx, tx, c.Address); err != nil {
			return err
		}
		if c.Over() || p.User.ID != c.UserID {
			return challenge.ErrExpired
		}
		if err := s.hasSecondFactorTx(ctx, tx, &p); err != nil {
			return err
		}
		return challenge.ConsumeTx(ctx, tx, c)
	})
	if err != nil {
		return BrowserSession{}, err
	}
	if err := s.askSecondFactor(ctx, client, p, true); err != nil {
		return BrowserSession{}, err
	}
	return s.beginBrowser(ctx, client, p, true)
}

// SignInByCode takes a mailed code and begins an app session. It fails with
// [ErrInvalidCode], for addresses without an account too, with [*LockedError] or
// [*SecondFactorError].
func (s *Service) SignInByCode(ctx context.Context, client principal.Client, email, code string) (Tokens, error) {
	if s.PasswordsOff() {
		return Tokens{}, ErrPasswordsOff
	}
	p := proof{Methods: principal.MethodsOf(principal.MethodEmail)}
	var right bool
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) (err error) {
		if p.User, err = userOfAddressTx(ctx, tx, email); err != nil {
			return err
		}
		if p.User.ID == "" {
			// Counted as if there were an account, so that a lock does not tell.
			counters := lockout.CodesOf("address:"+address.Lookup(email), FactorEmailCode, "")
			if err := counters.CheckTx(ctx, tx); err != nil {
				return err
			}
			_, err := counters.CountTx(ctx, tx, client, "")
			return err
		}
		if right, err = s.tryCodeTx(ctx, tx, client, p.User, FactorEmailCode, code); err != nil || !right {
			return err
		}
		return s.hasSecondFactorTx(ctx, tx, &p)
	})
	if err != nil {
		return Tokens{}, err
	}
	if !right {
		s.observeSignIn("invalid")
		return Tokens{}, ErrInvalidCode
	}
	if err := s.askSecondFactor(ctx, client, p, true); err != nil {
		return Tokens{}, err
	}
	return s.beginApp(ctx, client, p)
}

// hasSecondFactorTx notes whether the account has a second factor.
func (s *Service) hasSecondFactorTx(ctx context.Context, tx pgx.Tx, p *proof) error {
	state, err := s.factors.StateTx(ctx, tx, p.User.ID)
	p.TwoFactor = state.Enabled
	return err
}
