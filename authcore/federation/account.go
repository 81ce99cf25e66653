package federation

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

var (
	// ErrNotFound means that there is no such account of a provider, or not of this
	// user.
	ErrNotFound = errors.New("no such account of a provider")
	// ErrTaken means that the account of the provider is linked to a user already.
	ErrTaken = errors.New("the account of the provider is linked to another user")
	// ErrTooMany means that a user has as many as there may be.
	ErrTooMany = errors.New("too many accounts of providers")
)

// maxPerUser bounds the accounts of providers that one user has.
const maxPerUser = 20

// Account is an account of a provider that a user signs in with. Subject is the
// user's id there.
type Account struct {
	ID         string
	UserID     string
	Provider   string `db:"provider_id"`
	Subject    string `db:"account_id"`
	Email      *string
	Role       *principal.Role
	CreatedAt  time.Time
	LastUsedAt *time.Time
}

const columns = `a.id, a.user_id, a.provider_id, a.account_id, a.email, a.role::text AS role, a.created_at, a.last_used_at`

// New is an account of a provider to be linked. Its tokens are sealed for its id.
type New struct {
	ID       string          `json:"id"`
	Provider string          `json:"provider"`
	Subject  string          `json:"subject"`
	Email    string          `json:"email,omitempty"`
	Role     *principal.Role `json:"role,omitempty"`
	Tokens   SealedTokens    `json:"tokens"`
}

// SealedTokens are a provider's own, each sealed or empty.
type SealedTokens struct {
	Access  string     `json:"access,omitempty"`
	Refresh string     `json:"refresh,omitempty"`
	ID      string     `json:"id,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	Scope   string     `json:"scope,omitempty"`
}

// place keeps a token of one row from being opened as another's.
func place(id, column string) []byte { return []byte("provider/" + column + "/" + id) }

// Seal makes a new account of who a provider says somebody is.
func Seal(keys secret.Keys, id provider.Identity) (New, error) {
	n := New{ID: ids.New(), Provider: id.Provider, Subject: id.Subject, Email: id.Email, Role: id.Role}
	var err error
	n.Tokens, err = sealTokens(keys, n.ID, id.Tokens)
	return n, err
}

func sealTokens(keys secret.Keys, id string, t provider.Tokens) (sealed SealedTokens, err error) {
	for column, text := range map[string]struct {
		plain string
		into  *string
	}{
		"access_token": {t.Access, &sealed.Access}, "refresh_token": {t.Refresh, &sealed.Refresh}, "id_token": {t.ID, &sealed.ID},
	} {
		if text.plain == "" {
			continue
		}
		out, err := keys.Bound().Seal([]byte(text.plain), place(id, column))
		if err != nil {
			return SealedTokens{}, fmt.Errorf("seal a provider's token: %w", err)
		}
		*text.into = string(out)
	}
	if !t.AccessExpires.IsZero() {
		sealed.Expires = &t.AccessExpires
	}
	sealed.Scope = t.Scope
	return sealed, nil
}

// FindTx finds whose an account of a provider is. It fails with [ErrNotFound].
func FindTx(ctx context.Context, tx pgx.Tx, providerID, subject string) (Account, error) {
	a, err := dbscope.TxRow[Account](ctx, tx,
		`SELECT `+columns+` FROM auth.accounts AS a WHERE a.provider_id = $1 AND a.account_id = $2 AND a.provider_id <> 'credential'`, providerID, subject)
	return a, notFound(err)
}

// LinkTx links an account of a provider to a user, whose row is locked. It fails
// with [ErrTaken] or [ErrTooMany].
func LinkTx(ctx context.Context, tx pgx.Tx, userID string, n New) error {
	var have int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM auth.accounts WHERE user_id = $1 AND provider_id <> 'credential'`, userID).Scan(&have); err != nil {
		return err
	}
	if have >= maxPerUser {
		return ErrTooMany
	}
	tag, err := tx.Exec(ctx,
		`INSERT INTO auth.accounts (id, account_id, provider_id, user_id, email, role, last_used_at,
		   access_token, refresh_token, id_token, access_token_expires_at, scope)
		 VALUES ($1, $2, $3, $4, NULLIF($5, ''), $6::text::auth.user_role, now(), NULLIF($7, ''), NULLIF($8, ''), NULLIF($9, ''), $10, NULLIF($11, ''))
		 ON CONFLICT (provider_id, account_id) DO NOTHING`,
		n.ID, n.Subject, n.Provider, userID, n.Email, (*string)(n.Role),
		n.Tokens.Access, n.Tokens.Refresh, n.Tokens.ID, n.Tokens.Expires, n.Tokens.Scope)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrTaken
	}
	return err
}

// UseTx notes that somebody signed in with an account, and what the provider gave
// and said this time. A refresh token that it does not give again stays. It fails
// with [ErrNotFound] where the account was unlinked meanwhile.
func UseTx(ctx context.Context, tx pgx.Tx, keys secret.Keys, a Account, id provider.Identity) error {
	t, err := sealTokens(keys, a.ID, id.Tokens)
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx,
		`UPDATE auth.accounts SET last_used_at = now(), updated_at = now(), email = COALESCE(NULLIF($3, ''), email), role = $4::text::auth.user_role,
		   access_token = COALESCE(NULLIF($5, ''), access_token), refresh_token = COALESCE(NULLIF($6, ''), refresh_token),
		   id_token = COALESCE(NULLIF($7, ''), id_token),
		   access_token_expires_at = CASE WHEN $5 = '' THEN access_token_expires_at ELSE $8::timestamptz END, scope = COALESCE(NULLIF($9, ''), scope)
		 WHERE id = $1 AND user_id = $2`,
		a.ID, a.UserID, id.Email, (*string)(id.Role), t.Access, t.Refresh, t.ID, t.Expires, t.Scope)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	return err
}

// ListTx are the accounts of providers that a user has, the oldest first.
func ListTx(ctx context.Context, tx pgx.Tx, userID string) ([]Account, error) {
	rows, err := tx.Query(ctx,
		`SELECT `+columns+` FROM auth.accounts AS a WHERE a.user_id = $1 AND a.provider_id <> 'credential' ORDER BY a.created_at, a.id`, userID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Account])
}

// UnlinkTx takes an account of a provider from a user. It fails with
// [ErrNotFound].
func UnlinkTx(ctx context.Context, tx pgx.Tx, userID, id string) (Account, error) {
	a, err := dbscope.TxRow[Account](ctx, tx,
		`DELETE FROM auth.accounts AS a WHERE a.id = $2 AND a.user_id = $1 AND a.provider_id <> 'credential' RETURNING `+columns, userID, id)
	return a, notFound(err)
}

// UnlinkAllTx takes all of them.
func UnlinkAllTx(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM auth.accounts WHERE user_id = $1 AND provider_id <> 'credential'`, userID)
	return err
}

// Token opens one of the tokens of an account: access_token, refresh_token or
// id_token. A row of the replaced service has it in clear.
func Token(keys secret.Keys, accountID, column, stored string) (string, error) {
	if !sealedForm.MatchString(stored) {
		return stored, nil
	}
	plain, err := keys.Bound().Open([]byte(stored), place(accountID, column))
	return string(plain), err
}

// sealedForm is what [secret.Bound.Seal] writes.
var sealedForm = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9a-f]+$`)

type storedTokens struct {
	ID                                 string
	AccessToken, RefreshToken, IDToken *string
}

// ResealTx seals with today's encryption key the tokens that an older one has
// sealed, and those that the replaced service stored in clear, of at most limit
// rows. It returns how many there were.
func ResealTx(ctx context.Context, tx pgx.Tx, keys secret.Keys, limit int) (int, error) {
	rows, err := tx.Query(ctx,
		`SELECT a.id, a.access_token, a.refresh_token, a.id_token FROM auth.accounts AS a
		 WHERE (a.access_token IS NOT NULL OR a.refresh_token IS NOT NULL OR a.id_token IS NOT NULL)
		   AND (NOT starts_with(a.access_token, $1) OR NOT starts_with(a.refresh_token, $1) OR NOT starts_with(a.id_token, $1))
		 ORDER BY a.id LIMIT $2 FOR UPDATE SKIP LOCKED`, keys.SealingPrefix(), limit)
	if err != nil {
		return 0, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[storedTokens])
	if err != nil {
		return 0, err
	}
	for _, row := range list {
		var t provider.Tokens
		for column, token := range map[string]struct {
			stored *string
			into   *string
		}{
			"access_token": {row.AccessToken, &t.Access}, "refresh_token": {row.RefreshToken, &t.Refresh}, "id_token": {row.IDToken, &t.ID},
		} {
			if token.stored == nil {
				continue
			}
			if *token.into, err = Token(keys, row.ID, column, *token.stored); err != nil {
				return 0, fmt.Errorf("open the %s of account %s: %w", column, row.ID, err)
			}
		}
		sealed, err := sealTokens(keys, row.ID, t)
		if err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, `UPDATE auth.accounts SET access_token = NULLIF($2, ''), refresh_token = NULLIF($3, ''), id_token = NULLIF($4, '') WHERE id = $1`,
			row.ID, sealed.Access, sealed.Refresh, sealed.ID); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// IsConflict reports whether two who came at once made the same row.
func IsConflict(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23505"
}

func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
