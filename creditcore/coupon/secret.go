package coupon

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

// secretName is that of the secret in credits.secrets.
const secretName = "coupons"

// secret is what codes, persons and domains are hashed with. It is read, or made,
// when it is first needed.
type secret struct {
	sealer Sealer
	mu     sync.Mutex
	keys   *keys
}

// keys are derived from the secret by HKDF-SHA256 (RFC 5869), one for each purpose.
type keys struct{ code, person, domain []byte }

func (k *keys) codeHash(c Code) []byte        { return sum(k.code, string(c)) }
func (k *keys) personHash(m Mailbox) []byte   { return sum(k.person, m.Name) }
func (k *keys) domainHash(name string) []byte { return sum(k.domain, name) }

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func deriveKeys(master []byte) (*keys, error) {
	var failed error
	key := func(purpose string) []byte {
		k, err := hkdf.Key(sha256.New, master, nil, "mana-edge/coupon-"+purpose, sha256.Size)
		failed = errors.Join(failed, err)
		return k
	}
	return &keys{key("code"), key("person"), key("domain")}, failed
}

// openKeys reads the secret and makes it where there is none. What an older
// encryption key has sealed is sealed with today's. It fails with [ErrNoSecret].
func (s *Service) openKeys(ctx context.Context) (*keys, error) {
	s.secret.mu.Lock()
	defer s.secret.mu.Unlock()
	if s.secret.keys != nil {
		return s.secret.keys, nil
	}
	if s.secret.sealer == nil {
		return nil, fmt.Errorf("%w: no encryption key", ErrNoSecret)
	}
	sealed, err := s.sealedSecret(ctx)
	if err != nil {
		return nil, err
	}
	master, err := s.secret.sealer.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSecret, err)
	}
	if !s.secret.sealer.SealedByFirst(sealed) {
		again, err := s.secret.sealer.Seal(master)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoSecret, err)
		}
		if _, err := s.db.Exec(ctx, system(), `UPDATE credits.secrets SET sealed = $3 WHERE name = $1 AND sealed = $2`, secretName, sealed, again); err != nil {
			return nil, err
		}
	}
	s.secret.keys, err = deriveKeys(master)
	return s.secret.keys, err
}

// sealedSecret is the secret as it is stored. Of several that are made at once the
// first is everybody's.
func (s *Service) sealedSecret(ctx context.Context) (string, error) {
	const stored = `SELECT sealed AS text FROM credits.secrets WHERE name = $1`
	list, err := dbscope.Texts(ctx, s.db, system(), stored, secretName)
	if err != nil || len(list) > 0 {
		return first(list), err
	}
	master := make([]byte, sha256.Size)
	_, _ = rand.Read(master) // never fails
	sealed, err := s.secret.sealer.Seal(master)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoSecret, err)
	}
	if _, err := s.db.Exec(ctx, system(), `INSERT INTO credits.secrets (name, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING`, secretName, sealed); err != nil {
		return "", err
	}
	list, err = dbscope.Texts(ctx, s.db, system(), stored, secretName)
	return first(list), err
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
