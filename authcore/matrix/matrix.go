// Package matrix is the links from Matrix ids to accounts: by one, a bot that
// hears a Matrix user acts for the account.
//
// # Threat model
//
// Who could link another's Matrix id would have that person's words to bots act
// on an account of their choosing, and who could link their own id to another's
// account would act as that person. So an account is linked by its own token or
// by a back end with a service key, whom the id has spoken to; a token alone
// claims an id that nobody has, never another's. That an id is theirs users prove by
// signing in to its server through us, or by an OpenID token of that server.
package matrix

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

var (
	// ErrNotLinked means that no usable account is linked to the id. Its text is
	// part of the wire contract.
	ErrNotLinked = errors.New("No link found for this Matrix user")
	// ErrTaken means that the id is linked to another account.
	ErrTaken = errors.New("This Matrix user is linked to another account")
	// ErrID means that a text is no Matrix user id.
	ErrID = errors.New("matrixUserId must be a Matrix user id such as @name:example.org")
)

// Proof is how the link of an id came about.
type Proof string

// The proofs.
const (
	Claim   Proof = "claim"   // the account says so
	Service Proof = "service" // a back end says so
	SignIn  Proof = "openid"  // whoever has the id signed in to its server through us, or the server confirms its token
)

// Link is a row of auth.matrix_user_links.
type Link struct {
	ID           string
	MatrixUserID string
	UserID       string
	Email        *string // as whoever linked it said
	Proof        Proof
	LinkedAt     time.Time
	LastUsedAt   *time.Time
}

const columns = `l.id, l.matrix_user_id, l.user_id, l.email, l.proof, l.linked_at, l.last_used_at`

// maxID bounds a user id, in bytes (Matrix specification, appendix 4.2.1).
const maxID = 255

// CheckID fails with [ErrID] unless a text is a user id: "@", a local part of
// visible ASCII without colon, which older servers give, ":" and a server name.
func CheckID(text string) error {
	local, server, ok := strings.Cut(strings.TrimPrefix(text, "@"), ":")
	if !ok || local == "" || server == "" || len(text) > maxID || !strings.HasPrefix(text, "@") {
		return ErrID
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f {
			return ErrID
		}
	}
	if strings.ContainsAny(server, "@/\\?#") {
		return ErrID
	}
	return nil
}

// LinkTx links an id to an account, in the scope of the system, and returns whose
// it was before, empty for nobody's. With [Claim] it fails with [ErrTaken] where
// that is somebody else, with [SignIn] where they have more than a claim.
func LinkTx(ctx context.Context, tx pgx.Tx, matrixUserID, userID, email string, proof Proof) (before string, err error) {
	// The row is made first, so that two who come at once see each other.
	made, err := tx.Exec(ctx,
		`INSERT INTO auth.matrix_user_links (id, matrix_user_id, user_id, email, proof)
		 VALUES ($1, $2, $3, NULLIF($4, ''), $5)
		 ON CONFLICT (matrix_user_id) DO NOTHING`, ids.New(), matrixUserID, userID, email, string(proof))
	if err != nil || made.RowsAffected() > 0 {
		return "", err
	}
	l, err := dbscope.TxRow[Link](ctx, tx,
		`SELECT `+columns+` FROM auth.matrix_user_links AS l WHERE l.matrix_user_id = $1 FOR UPDATE`, matrixUserID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", ErrTaken // unlinked this moment; to be tried again
	case err != nil:
		return "", err
	case l.UserID != userID && proof == Claim:
		return "", ErrTaken
	case l.UserID != userID && proof == SignIn && l.Proof != Claim:
		return "", ErrTaken // it outranks a claim alone
	case l.UserID == userID && proof == Claim:
		proof = l.Proof // it stands for what it was
	}
	_, err = tx.Exec(ctx,
		`UPDATE auth.matrix_user_links
		 SET user_id = $2, email = COALESCE(NULLIF($3, ''), CASE WHEN user_id = $2 THEN email END), proof = $4,
		     linked_at = CASE WHEN user_id = $2 THEN linked_at ELSE now() END
		 WHERE id = $1`, l.ID, userID, email, string(proof))
	return l.UserID, err
}

// UnlinkTx ends the link of an id, with a user only theirs, in the scope of the
// system. It fails with [ErrNotLinked].
func UnlinkTx(ctx context.Context, tx pgx.Tx, matrixUserID, userID string) (Link, error) {
	l, err := dbscope.TxRow[Link](ctx, tx,
		`DELETE FROM auth.matrix_user_links AS l
		 WHERE l.matrix_user_id = $1 AND ($2 = '' OR l.user_id = $2)
		 RETURNING `+columns, matrixUserID, userID)
	return l, notLinked(err)
}

// UseTx notes that the link of an id was used, and returns it. It fails with
// [ErrNotLinked], for a user who is gone or disabled too.
func UseTx(ctx context.Context, tx pgx.Tx, matrixUserID string) (Link, error) {
	l, err := dbscope.TxRow[Link](ctx, tx,
		`UPDATE auth.matrix_user_links AS l SET last_used_at = now()
		 FROM auth.users AS u
		 WHERE l.matrix_user_id = $1 AND u.id = l.user_id AND u.deleted_at IS NULL AND u.disabled_at IS NULL
		 RETURNING `+columns, matrixUserID)
	return l, notLinked(err)
}

func notLinked(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotLinked
	}
	return err
}
