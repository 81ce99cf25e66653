package creditcore

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
)

// EntryTypes are those that this program writes.
var EntryTypes = []EntryType{Purchase, Usage, Returned, Gift, Expiry, Adjustment}

// HistoryFilter chooses rows of a ledger. What is empty or nil chooses all.
type HistoryFilter struct {
	Type EntryType
	App  string
	// SpentBy is the member who spent, on the account of an organisation.
	SpentBy string
	// From and Until are when a row was written: at From or later, before Until.
	From, Until *time.Time
	// Before is the sequence that the page before ended with.
	Before int64
}

// HistoryOf is the page of the caller's ledger rows that a filter chooses,
// newest first. The limit is clamped to 1 to 200. Rows that are written meanwhile
// move no page.
func (s *Service) HistoryOf(ctx context.Context, c Caller, f HistoryFilter, limit int) ([]Entry, error) {
	if !plain(f.App) || !plain(string(f.Type)) || !plain(f.SpentBy) {
		return nil, ErrInvalid
	}
	var before *int64
	if f.Before > 0 {
		before = &f.Before
	}
	return dbscope.ListLagging[Entry](ctx, s.replica, s.db, c.scope(),
		`SELECT `+entryColumns+`
		 FROM credits.transactions AS t
		 WHERE t.user_id = $1
		   AND ($2::bigint IS NULL OR t.sequence < $2)
		   AND ($3 = '' OR t.type = $3)
		   AND ($4 = '' OR t.app_id = $4)
		   AND ($8 = '' OR t.spent_by = $8)
		   AND ($5::timestamptz IS NULL OR t.created_at >= $5)
		   AND ($6::timestamptz IS NULL OR t.created_at < $6)
		 ORDER BY t.sequence DESC
		 LIMIT $7`, c.Account(), before, string(f.Type), f.App, f.From, f.Until, min(max(limit, 1), maxPage), f.SpentBy)
}
