// Package password checks new passwords and hashes them with Argon2id, and
// verifies those and the hashes of the replaced service.
package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Hashing sets the cost of password hashes (argon2id, RFC 9106) and how many
// run at once. A zero field takes the default named with it; a cost outside
// what a stored hash may have is moved to the nearest one allowed.
type Hashing struct {
	MemoryKiB   uint32        // 19456: 19 MiB
	Time        uint32        // 2 passes
	Parallelism uint8         // 1 lane
	Concurrent  int           // GOMAXPROCS
	Wait        time.Duration // 3 seconds in the queue, then ErrBusy
}

func (h Hashing) withDefaults() Hashing {
	if h.MemoryKiB == 0 {
		h.MemoryKiB = 19456
	}
	if h.Time == 0 {
		h.Time = 2
	}
	if h.Parallelism == 0 {
		h.Parallelism = 1
	}
	if h.Concurrent <= 0 {
		h.Concurrent = runtime.GOMAXPROCS(0)
	}
	if h.Wait <= 0 {
		h.Wait = 3 * time.Second
	}
	h.Time = min(h.Time, maxArgonTime)
	h.Parallelism = min(h.Parallelism, maxArgonLanes)
	h.MemoryKiB = min(max(h.MemoryKiB, 8*uint32(h.Parallelism)), maxArgonMemoryKiB)
	return h
}

// Hasher hashes and verifies passwords, at most Hashing.Concurrent at a time,
// since each hash takes its memory for as long as it runs. It is safe for
// concurrent use.
type Hasher struct {
	cost    argonCost
	wait    time.Duration
	slots   chan struct{}
	observe func(wait time.Duration)
	fake    string // a hash at today's cost that no password has
}

// NewHasher fills in the defaults. The func observe may be nil; it is given
// the time each hash spent in the queue.
func NewHasher(h Hashing, observe func(wait time.Duration)) *Hasher {
	h = h.withDefaults()
	cost := argonCost{memoryKiB: h.MemoryKiB, time: h.Time, lanes: h.Parallelism}
	var salt [argonSaltSize]byte
	var sum [argonKeySize]byte
	rand.Read(salt[:])
	rand.Read(sum[:])
	return &Hasher{
		cost: cost, wait: h.Wait, slots: make(chan struct{}, h.Concurrent), observe: observe,
		fake: argonHash{cost: cost, salt: salt[:], sum: sum[:]}.String(),
	}
}

// Hash returns the argon2id hash of the NFKC form of the password in PHC
// format, under a fresh salt. It fails with [ErrBusy] where the queue did not
// move in time, or with the context's error.
func (h *Hasher) Hash(ctx context.Context, password string) (encoded string, err error) {
	err = h.run(ctx, func() error {
		encoded = newArgonHash(h.cost, normalize(password)).String()
		return nil
	})
	return encoded, err
}

// Verify reports whether the password has the hash, and whether a right one
// should be hashed again because the hash is of another kind or cost. It
// reads argon2id in PHC format and the scrypt and bcrypt hashes of the
// replaced service, compares in constant time, and fails with [ErrBusy], the
// context's error, or an error that says what is wrong with the stored hash.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (ok, rehash bool, err error) {
	stored, err := parsePasswordHash(encoded)
	if err != nil {
		return false, false, err
	}
	err = h.run(ctx, func() error {
		ok, err = stored.matches(password)
		return err
	})
	if err != nil || !ok {
		return false, false, err
	}
	argon, isArgon := stored.(argonHash)
	return true, !isArgon || argon.outdated(h.cost), nil
}

// VerifyFake does the work of verifying a password at today's cost, for
// accounts that do not exist, so that their answer takes as long.
func (h *Hasher) VerifyFake(ctx context.Context, password string) error {
	_, _, err := h.Verify(ctx, h.fake, password)
	return err
}

// run waits for a slot and gives it back however fn ends.
func (h *Hasher) run(ctx context.Context, fn func() error) error {
	start := time.Now()
	err := h.acquire(ctx)
	if h.observe != nil {
		h.observe(time.Since(start))
	}
	if err != nil {
		return err
	}
	defer func() { <-h.slots }()
	return fn()
}

func (h *Hasher) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(h.wait)
	defer patience.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-patience.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passwordHash is a stored hash that has been read.
type passwordHash interface {
	matches(password string) (bool, error)
}

// parsePasswordHash reads a stored hash without doing its work. It refuses
// costs that would let a poisoned row exhaust the process. Its errors do not
// contain the hash.
func parsePasswordHash(encoded string) (passwordHash, error) {
	switch {
	case strings.HasPrefix(encoded, "$argon2id$"):
		return parseArgonHash(encoded)
	case strings.HasPrefix(encoded, "$2"):
		return parseBcryptHash(encoded)
	case len(encoded) > 0 && encoded[0] != '$':
		return parseScryptHash(encoded)
	}
	return nil, fmt.Errorf("stored password: %w", errHashFormat)
}

// normalize is the form in which passwords are hashed and compared (NFKC,
// Unicode Standard Annex 15), so that a keyboard's way of composing
// characters does not matter.
func normalize(password string) string { return norm.NFKC.String(password) }

// ErrBusy means that the queue of hashes did not move in time.
var ErrBusy = errors.New("too many password hashes at once")

// Reasons of an [Error], fit to be shown.
const (
	TooShort = "Password must be at least 8 characters long"
	TooLong  = "Password must be at most 128 characters long"
	Common   = "Password is too common"
	InBreach = "Password was found in a data breach"
)

// Error refuses a new password. Reason is one of the constants above.
type Error struct{ Reason string }

func (e *Error) Error() string { return e.Reason }

const (
	minPasswordLength = 8
	maxPasswordLength = 128
)

// Policy is what a new password must be. The zero value refuses the commonest
// passwords that this package knows.
type Policy struct {
	refused  func(password string) bool
	breached *Breached
}

// AnyPassword is a policy that refuses none by itself.
func AnyPassword() Policy { return Policy{refused: func(string) bool { return false }} }

// RefusingBreached is the policy that refuses those of breaches too.
func (p Policy) RefusingBreached(b Breached) Policy {
	p.breached = &b
	return p
}

// Refusing is a policy that refuses the passwords of a list, one a line, in any
// case. Empty lines count for nothing.
func Refusing(list string) Policy {
	refused := make(map[string]struct{})
	for line := range strings.Lines(list) {
		if line = strings.ToLower(normalize(strings.Trim(line, "\r\n"))); line != "" {
			refused[line] = struct{}{}
		}
	}
	return Policy{refused: func(password string) bool {
		_, listed := refused[strings.ToLower(password)]
		return listed
	}}
}

// Check reports whether a new password may be used: 8 to 128 characters
// in NFKC, and none that the policy refuses. It fails with [*Error], or with
// what is wrong with the files of breaches: one that cannot be looked up is not
// taken.
func (p Policy) Check(typed string) error {
	refused := p.refused
	if refused == nil {
		refused = commonPassword
	}
	password := normalize(typed)
	length := utf8.RuneCountInString(password)
	switch {
	case length < minPasswordLength:
		return &Error{Reason: TooShort}
	case length > maxPasswordLength:
		return &Error{Reason: TooLong}
	case refused(password):
		return &Error{Reason: Common}
	case p.breached == nil:
		return nil
	}
	found, err := p.breached.Has(typed)
	if err == nil && found {
		err = &Error{Reason: InBreach}
	}
	return err
}

// Readable reports whether a stored hash has a form that [Hasher.Verify] knows.
func Readable(encoded string) bool {
	_, err := parsePasswordHash(encoded)
	return err == nil
}
