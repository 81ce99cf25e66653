package passkey_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"mana.how/edge/authcore/passkey"
	"mana.how/edge/internal/passkeytest"
)

func TestStates(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	a := &passkeytest.Authenticator{Origin: origin}
	s.registered(t, u, a)
	c, made := s.signIn(t, "", false), s.registration(t, u)
	response := get(t, a, c.options)
	refused := func(name, state string) {
		t.Helper()
		if got, err := s.verify(t.Context(), s.db.Pool, state, response); !errors.Is(err, passkey.ErrState) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for i := range c.state {
		changed := []byte(c.state)
		changed[i] ^= 1
		refused("changed", string(changed))
		refused("truncated", c.state[:i])
	}
	other := config()
	other.Key = bytes.Repeat([]byte{8}, 32)
	rp, err := passkey.New(other)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, err := rp.SignInOptions(t.Context(), nil, "", false)
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]string{
		"of another relying party": foreign,
		"of a registration":        made.state,
		"longer":                   c.state + "AAAA",
		"huge":                     strings.Repeat("A", 1<<20),
		"with a line break":        c.state[:10] + "\n" + c.state[10:],
		"padded":                   c.state + "=",
	} {
		refused(name, state)
	}

	s.ahead.Store(int64(passkey.StateTTL))
	refused("expired", c.state)
	s.ahead.Store(int64(passkey.StateTTL * 4 / 5))
	if _, err := s.verify(t.Context(), s.db.Pool, c.state, response); err != nil {
		t.Errorf("in time: %v", err)
	}
	refused("empty", "")
}

func TestExpiredRegistration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	c := s.registration(t, u)
	response := create(t, &passkeytest.Authenticator{Origin: origin}, c.options)
	s.ahead.Store(int64(passkey.StateTTL))
	if _, err := s.register(t.Context(), s.db.Pool, u, c.state, response, ""); !errors.Is(err, passkey.ErrState) {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	_, err := passkey.New(passkey.Config{RPID: "https://example.com", Key: []byte("short")})
	for _, fault := range []string{"RPID", "RPName", "Origin", "Key has 5 bytes"} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%v does not name %s", err, fault)
		}
	}
	local := config()
	local.RPID = "localhost"
	if _, err := passkey.New(local); err != nil {
		t.Error(err)
	}
}
