package federation

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Purpose is what a provider is asked for.
type Purpose string

// The purposes.
const (
	SignIn Purpose = "sign_in"
	Link   Purpose = "link"
	// Prove asks who is signed in to show once more who they are.
	Prove Purpose = "prove"
	// Address waits for the address of somebody whom the provider named without one.
	Address Purpose = "address"
)

// FlowTTL is how long somebody may take at the provider.
const FlowTTL = 10 * time.Minute

// Flow is a sign-in by a provider that is under way. UserID is empty where nobody
// is signed in yet. Data is what its maker needs to know.
type Flow struct {
	Purpose   Purpose
	Provider  string `db:"provider_id"`
	UserID    string
	Data      json.RawMessage
	CreatedAt time.Time
}

// NewBinding is what a browser holds while sign-ins of its own are under way.
func NewBinding() string { return randomText() }

func randomText() string {
	var secret [32]byte
	rand.Read(secret[:])
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

// Derive is a secret of one flow in one browser: neither what the browser holds nor
// the state alone gives it, and it is stored nowhere.
func Derive(binding, state, use string) string {
	mac := hmac.New(sha256.New, []byte(binding))
	mac.Write([]byte(use + "\x00" + state))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func digestOf(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// BeginTx makes a flow and returns its state, which has 256 random bits.
func BeginTx(ctx context.Context, tx pgx.Tx, f Flow, binding string, data any) (state string, err error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return "", err
	}
	state = randomText()
	_, err = tx.Exec(ctx,
		`INSERT INTO auth.provider_flows (digest, binding, purpose, provider_id, user_id, data, expires_at)
		 VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))`,
		digestOf(state), digestOf(binding), string(f.Purpose), f.Provider, dbscope.NullText(f.UserID), raw, FlowTTL.Seconds())
	return state, err
}

// TakeTx takes the flow of a state, once, for the browser that holds one of the
// bindings, and returns which. Where another one brings the state, the flow stays.
// It fails with [ErrNotFound].
func TakeTx(ctx context.Context, tx pgx.Tx, state string, bindings []string) (Flow, string, error) {
	for _, binding := range bindings[:min(len(bindings), maxBindings)] {
		f, err := dbscope.TxRow[Flow](ctx, tx,
			`DELETE FROM auth.provider_flows WHERE digest = $1 AND binding = $2 AND expires_at > now()
			 RETURNING purpose, provider_id, coalesce(user_id, '') AS user_id, data, created_at`, digestOf(state), digestOf(binding))
		if err = notFound(err); err == nil {
			return f, binding, nil
		} else if err != ErrNotFound { //nolint:errorlint // as notFound made it
			return Flow{}, "", err
		}
	}
	return Flow{}, "", ErrNotFound
}

// maxBindings bounds the cookies of one request that are looked up.
const maxBindings = 4

// Prune drops flows that are over.
func Prune(ctx context.Context, db dbscope.DB) (int64, error) {
	return db.Prune(ctx, "prune auth.provider_flows",
		`DELETE FROM auth.provider_flows
		 WHERE digest IN (
		   SELECT f.digest FROM auth.provider_flows AS f
		   WHERE f.expires_at < now() - make_interval(secs => $1)
		   ORDER BY f.expires_at
		   LIMIT $2)`, time.Minute.Seconds())
}
