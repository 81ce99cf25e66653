package abuse

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Score is what is known of an account.
type Score struct {
	UserID   string
	Email    string // empty where it is not known any more
	Score    int
	Signals  []Signal
	ScoredAt time.Time
	// HeldAt is since when it makes no gifts, and HeldBy the operator, or [Edge]; nil
	// where it makes them.
	HeldAt             *time.Time
	HeldBy, HoldReason *string
	// ReleasedAt is when an operator released it, and ReleasedScore the score of then.
	ReleasedAt                *time.Time
	ReleasedBy, ReleaseReason *string
	ReleasedScore             *int
}

const scoreColumns = `a.user_id, CASE WHEN u.deleted_at IS NULL THEN u.email ELSE '' END AS email, a.score, a.signals, a.scored_at,
	a.held_at, a.held_by, a.hold_reason, a.released_at, a.released_by, a.release_reason, a.released_score`

// ScoreOf is what is known of an account; a zero score where that is nothing.
func (s *Service) ScoreOf(ctx context.Context, userID string) (Score, error) {
	found, err := dbscope.One[Score](ctx, s.db, system(),
		`SELECT `+scoreColumns+` FROM credits.abuse_scores AS a JOIN auth.users AS u ON u.id = a.user_id WHERE a.user_id = $1`, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Score{UserID: userID}, nil
	}
	return found, err
}

// Cursor names a row of the list of scores. The zero Cursor stands before the first.
type Cursor struct {
	Score  int
	UserID string
}

// String is the cursor as a parameter of a URL, empty for the zero Cursor.
func (c Cursor) String() string {
	if c.UserID == "" {
		return ""
	}
	return strconv.Itoa(c.Score) + "." + c.UserID
}

// ParseCursor reads what [Cursor.String] writes. Anything else is the zero Cursor.
func ParseCursor(text string) Cursor {
	score, id, ok := strings.Cut(text, ".")
	n, err := strconv.Atoi(score)
	if !ok || err != nil || n < 0 || n > mostScore || id == "" || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return Cursor{}
	}
	return Cursor{n, id}
}

// Page lists accounts by their score, the highest first, and returns the cursor of the
// next page.
func (s *Service) Page(ctx context.Context, after Cursor, limit int) ([]Score, Cursor, error) {
	if after.UserID == "" {
		after = Cursor{mostScore + 1, ""}
	}
	list, err := dbscope.List[Score](ctx, s.db, system(),
		`SELECT `+scoreColumns+`
		 FROM credits.abuse_scores AS a
		 JOIN auth.users AS u ON u.id = a.user_id
		 WHERE (a.score, a.user_id) < ($1, $2)
		 ORDER BY a.score DESC, a.user_id DESC
		 LIMIT $3`, after.Score, after.UserID, limit+1)
	if err != nil || len(list) <= limit {
		return list, Cursor{}, err
	}
	list = list[:limit]
	return list, Cursor{list[limit-1].Score, list[limit-1].UserID}, nil
}

// EmailsOf are the addresses of accounts by their ids, of those that are known.
func (s *Service) EmailsOf(ctx context.Context, ids []string) (map[string]string, error) {
	type row struct{ ID, Email string }
	list, err := dbscope.List[row](ctx, s.db, system(), `SELECT u.id, u.email FROM auth.users AS u WHERE u.id = ANY($1) AND u.deleted_at IS NULL`, ids)
	emails := make(map[string]string, len(list))
	for _, r := range list {
		emails[r.ID] = r.Email
	}
	return emails, err
}
