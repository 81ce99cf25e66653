package coupon

import (
	"context"
	"errors"

	"mana.how/edge/creditcore/sealed"
)

// secretName is that of the secret in credits.secrets.
const secretName = "coupons"

// keys are derived from the secret, one for each purpose: what codes, persons and
// domains are hashed with.
type keys struct{ code, person, domain sealed.Key }

func (k *keys) codeHash(c Code) []byte        { return k.code.Sum(string(c)) }
func (k *keys) personHash(m Mailbox) []byte   { return k.person.Sum(m.Name) }
func (k *keys) domainHash(name string) []byte { return k.domain.Sum(name) }

// openKeys opens the secret. It fails with [ErrNoSecret].
func (s *Service) openKeys(ctx context.Context) (*keys, error) {
	if k := s.keys.Load(); k != nil {
		return k, nil
	}
	master, err := s.secret.Open(ctx)
	if err != nil {
		return nil, err
	}
	key := func(purpose string) sealed.Key {
		k, failed := sealed.Derive(master, "coupon-"+purpose)
		err = errors.Join(err, failed)
		return k
	}
	k := &keys{key("code"), key("person"), key("domain")}
	if err == nil {
		s.keys.Store(k)
	}
	return k, err
}
