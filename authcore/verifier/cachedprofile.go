package verifier

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/internal/dbscope"
)

// ShownProfile is what a user shows to apps of themselves: a name, and the
// address of a picture. Either may be empty.
type ShownProfile struct{ Name, Picture string }

// cachedProfile is a profile in memory. It is immutable but for the flag; a newer
// reading replaces it.
type cachedProfile struct {
	ShownProfile
	readAt   time.Time
	rechecks atomic.Bool
}

// end is until when the entry is believed.
func (p *cachedProfile) end() time.Time { return p.readAt.Add(recheckAfter + trustDuring) }

// ShownProfile gives the profile of a user. In steady state it asks memory only. It
// fails with [account.ErrNotFound], or with [account.ErrUnavailable] when only the database
// could tell.
func (s *Verifier) ShownProfile(ctx context.Context, userID string) (ShownProfile, error) {
	p, hit := s.profiles.GetIfPresent(userID)
	if !hit || s.profileStale(userID, p) {
		return s.readProfile(ctx, userID)
	}
	if age := s.with.Now().Sub(p.readAt); (age > recheckAfter || age < 0) && !p.rechecks.Swap(true) {
		s.with.Background.Go(func() { s.recheckProfile(context.WithoutCancel(ctx), userID, p) })
	}
	return p.ShownProfile, nil
}

// profileStale reports whether a change of the account overtook the entry, or may
// have done so unheard, or its time is over.
func (s *Verifier) profileStale(userID string, p *cachedProfile) bool {
	const everyEpoch = 1<<31 - 1 // a change of rights is none of the profile
	return p.readAt.UnixMicro() <= s.with.Unheard.Load() || !s.with.Now().Before(p.end()) ||
		s.with.Revoked.Overtakes("", userID, everyEpoch, p.readAt)
}

// readProfile reads a profile once for all who ask for it at the same moment. Who
// cannot wait until ctx ends gets [account.ErrUnavailable]; the reading goes on for others.
func (s *Verifier) readProfile(ctx context.Context, userID string) (ShownProfile, error) {
	reading := s.loads.DoChan("profile "+userID, func() (any, error) {
		// One asker's leaving must not fail the others.
		return s.selectProfile(context.WithoutCancel(ctx), userID)
	})
	select {
	case <-ctx.Done():
		return ShownProfile{}, errors.Join(account.ErrUnavailable, ctx.Err())
	case r := <-reading:
		if r.Err != nil {
			return ShownProfile{}, r.Err
		}
		return r.Val.(*cachedProfile).ShownProfile, nil
	}
}

func (s *Verifier) selectProfile(ctx context.Context, userID string) (*cachedProfile, error) {
	readAt := s.with.Now()
	shown, err := dbscope.One[ShownProfile](ctx, s.with.DB, dbscope.System(),
		`SELECT u.name, COALESCE(u.image, '') AS picture FROM auth.users AS u WHERE u.id = $1 AND `+account.Usable, userID)
	if err != nil {
		return nil, account.NotFound(err, account.ErrNotFound)
	}
	p := &cachedProfile{ShownProfile: shown, readAt: readAt}
	s.profiles.Set(userID, p)
	return p, nil
}

// recheckProfile reads a profile in memory again. A database that is away leaves
// the entry as it is, until its time is over.
func (s *Verifier) recheckProfile(ctx context.Context, userID string, old *cachedProfile) {
	defer old.rechecks.Store(false)
	if _, err := s.readProfile(ctx, userID); errors.Is(err, account.ErrNotFound) {
		s.profiles.Invalidate(userID)
	}
}
