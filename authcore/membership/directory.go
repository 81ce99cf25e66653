package membership

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
)

// Deps is what a [Directory] works with.
type Deps struct {
	DB     dbscope.DB
	Store  *session.Store
	Mailer notice.Mailer
	Now    func() time.Time
	// Recent fails where whoever holds the caller's session has not shown who they are
	// for a while.
	Recent func(ctx context.Context, c principal.Caller) error
	// Token makes an access token of a session, which lives for TokenTTL.
	Token    func(account.User, session.Session) (string, error)
	TokenTTL time.Duration
	// Forget has this edge read the sessions of a user again.
	Forget func(userID string)
	// SeatsTx is how many members an organisation, whose row is locked, may have by what
	// it pays for; zero is any number.
	SeatsTx func(ctx context.Context, tx pgx.Tx, organizationID string) (int, error)
	// DissolveTx and Dissolved take part in the end of an organisation.
	DissolveTx func(ctx context.Context, tx pgx.Tx, organizationID, heirID string) error
	Dissolved  func(ctx context.Context, organizationID string)
}

// Directory is the organisations and their members.
type Directory struct{ with Deps }

// New makes a directory.
func New(with Deps) *Directory { return &Directory{with} }
