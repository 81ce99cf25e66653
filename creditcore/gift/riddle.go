package gift

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"
)

const (
	// bcryptBytes is how much of a text bcrypt reads.
	bcryptBytes = 72
	// maxCost bounds the time of a stored hash to about a second.
	maxCost = 14
	// hashWait is how long an answer waits to be hashed, then [ErrBusy].
	hashWait = 3 * time.Second
)

// riddles hashes answers, as many at a time as there are processors. It is
// safe for concurrent use.
type riddles struct {
	cost  int
	slots chan struct{}
}

func newRiddles(cost int) riddles {
	return riddles{cost: cost, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// folded is the form in which answers are compared: trimmed, in lower case,
// and however a keyboard composed it (NFC, Unicode Standard Annex 15).
func folded(answer string) string {
	return strings.TrimSpace(strings.ToLower(norm.NFC.String(answer)))
}

// hash is the bcrypt of an answer; of a long one, of its SHA-256.
func (r riddles) hash(ctx context.Context, answer string) (hash string, err error) {
	err = r.run(ctx, func() error {
		made, err := bcrypt.GenerateFromPassword(hashed(folded(answer)), r.cost)
		hash = string(made)
		return err
	})
	return hash, err
}

func hashed(answer string) []byte {
	if len(answer) <= bcryptBytes {
		return []byte(answer)
	}
	sum := sha256.Sum256([]byte(answer))
	return []byte(hex.EncodeToString(sum[:]))
}

// right reports whether the answer is the one that was hashed, here or by the
// replaced service, which left out what is beyond bcryptBytes.
func (r riddles) right(ctx context.Context, hash, answer string) (right bool, err error) {
	cost, err := bcrypt.Cost([]byte(hash))
	if err == nil && cost > maxCost {
		err = fmt.Errorf("cost %d", cost)
	}
	if err != nil {
		return false, fmt.Errorf("stored answer of a riddle: %w", err)
	}
	text := folded(answer)
	forms := [][]byte{hashed(text)}
	if len(text) > bcryptBytes {
		forms = append(forms, []byte(text)[:bcryptBytes])
	}
	err = r.run(ctx, func() error {
		for _, form := range forms {
			err := bcrypt.CompareHashAndPassword([]byte(hash), form)
			if err == nil {
				right = true
				return nil
			}
			if !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
				return fmt.Errorf("stored answer of a riddle: %w", err)
			}
		}
		return nil
	})
	return right, err
}

// run waits for a slot and gives it back however fn ends.
func (r riddles) run(ctx context.Context, fn func() error) error {
	patience := time.NewTimer(hashWait)
	defer patience.Stop()
	select {
	case r.slots <- struct{}{}:
	case <-patience.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.slots }()
	return fn()
}
