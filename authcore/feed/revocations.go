package feed

import (
	"context"
	"time"

	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// readOverlap is by how much a reading of the revocations reaches back before
// the newest one known. What was revoked then has committed since: no
// transaction is left that long.
const readOverlap = 2 * time.Minute

// Load reads what is still in force, or what has come since the last
// time. Rows commit out of the order of their ids, so it reads by time, the
// database's own, with overlap, and never by last id.
func (s *Feed) Load(ctx context.Context) error {
	s.readingRevocations.Lock()
	defer s.readingRevocations.Unlock()
	list, err := dbscope.List[revocation.Revocation](ctx, s.with.DB, dbscope.System(),
		`SELECT `+revocation.Columns+`
		 FROM auth.revocations
		 WHERE created_at > now() - make_interval(secs => $1) AND created_at > $2
		 ORDER BY created_at`, revocation.MemorySpan.Seconds(), s.newestRevocation.Add(-readOverlap))
	if err != nil {
		return err
	}
	for _, rev := range list {
		s.with.Apply(rev)
		s.newestRevocation = rev.CreatedAt
	}
	return nil
}
