package grant

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

// Deps is what [Grants] work with.
type Deps struct {
	DB      dbscope.DB
	Store   *session.Store
	Secrets secret.Keys
	Now     func() time.Time
	Log     *slog.Logger
	Logouts LogoutQueue

	Issuer     string          // the iss claim of every token
	Clients    []openid.Client // of the configuration
	RefreshTTL time.Duration
	// Registration is what [openid.DigestOf] makes of the token by which clients
	// register themselves, empty where none can.
	Registration string

	// Keys are those in force, and MakeKey makes the first of an algorithm.
	Keys    *atomic.Pointer[token.KeySet]
	MakeKey func(ctx context.Context, a token.Algorithm) error
	// Advance exchanges a refresh token of a client for its successor.
	Advance func(ctx context.Context, client principal.Client, refreshToken, clientID string) (session.WithUser, string, error)
}

// Grants are the clients of the OpenID provider, and what they have.
type Grants struct{ with Deps }

// New makes grants.
func New(with Deps) *Grants { return &Grants{with} }

// Holder is whoever holds a browser session.
type Holder interface {
	UserID() string
	User() account.User
	Session() session.Session
}
