// Package sealed keeps random secrets of the ledger in the table credits.secrets, from
// which keys are derived that hash what is to be known again and not to be read: codes,
// mailboxes, wallets. A secret is sealed with the encryption key, and sealed anew when
// that is rotated, so that it outlives the key.
package sealed

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"mana.how/edge/internal/dbscope"
)

// ErrNone means that the encryption key is missing, or is not the one that the secret
// was sealed with.
var ErrNone = errors.New("a secret of the ledger cannot be opened")

// Sealer keeps a secret in the database.
type Sealer interface {
	Seal(plain []byte) (string, error)
	Open(sealed string) ([]byte, error)
	// SealedByFirst reports whether today's key has sealed it.
	SealedByFirst(sealed string) bool
}

// Secret is one of credits.secrets, by its name there. It is read, or made, when it is
// first needed. It is safe for concurrent use.
type Secret struct {
	Name string
	DB   dbscope.DB
	// Sealer is nil where there is no encryption key.
	Sealer Sealer

	mu     sync.Mutex
	master []byte
}

// Open reads the secret and makes it where there is none. What an older encryption key
// has sealed is sealed with today's. It fails with [ErrNone], or an error of DB.
func (s *Secret) Open(ctx context.Context) (master []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.master != nil {
		return s.master, nil
	}
	if s.Sealer == nil {
		return nil, fmt.Errorf("%w: no encryption key", ErrNone)
	}
	stored, err := s.stored(ctx)
	if err != nil {
		return nil, err
	}
	if master, err = s.Sealer.Open(stored); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	if !s.Sealer.SealedByFirst(stored) {
		again, err := s.Sealer.Seal(master)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNone, err)
		}
		if _, err := s.DB.Exec(ctx, dbscope.System(), `UPDATE credits.secrets SET sealed = $3 WHERE name = $1 AND sealed = $2`, s.Name, stored, again); err != nil {
			return nil, err
		}
	}
	s.master = master
	return master, nil
}

// stored is the secret as it is stored. Of several that are made at once the first is
// everybody's.
func (s *Secret) stored(ctx context.Context) (string, error) {
	const read = `SELECT sealed AS text FROM credits.secrets WHERE name = $1`
	list, err := dbscope.Texts(ctx, s.DB, dbscope.System(), read, s.Name)
	if err != nil || len(list) > 0 {
		return first(list), err
	}
	master := make([]byte, sha256.Size)
	_, _ = rand.Read(master) // never fails
	sealed, err := s.Sealer.Seal(master)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNone, err)
	}
	if _, err := s.DB.Exec(ctx, dbscope.System(), `INSERT INTO credits.secrets (name, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING`, s.Name, sealed); err != nil {
		return "", err
	}
	list, err = dbscope.Texts(ctx, s.DB, dbscope.System(), read, s.Name)
	return first(list), err
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// Key is what a secret is hashed with for one purpose, by HKDF-SHA256 (RFC 5869).
type Key []byte

// Derive makes the key of a purpose, such as "coupon-code".
func Derive(master []byte, purpose string) (Key, error) {
	return hkdf.Key(sha256.New, master, nil, "mana-edge/"+purpose, sha256.Size)
}

// Sum is the HMAC-SHA256 of a text.
func (k Key) Sum(text string) []byte {
	h := hmac.New(sha256.New, k)
	h.Write([]byte(text))
	return h.Sum(nil)
}
