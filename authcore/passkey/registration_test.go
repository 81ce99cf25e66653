package passkey_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/passkey"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/passkeytest"
)

func TestRegistrationOptions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	c := s.registration(t, u)
	if len(c.state) > 183 {
		t.Errorf("a state of %d characters", len(c.state))
	}
	var got map[string]any
	if err := json.Unmarshal(c.options, &got); err != nil {
		t.Fatal(err)
	}
	challenge, _ := got["challenge"].(string)
	if len(challenge) != 43 {
		t.Errorf("challenge %q", challenge)
	}
	delete(got, "challenge")
	user, _ := got["user"].(map[string]any)
	delete(user, "id")
	want := map[string]any{
		"rp":          map[string]any{"id": "example.com", "name": "Example"},
		"user":        map[string]any{"name": "ada@example.com", "displayName": "Ada"},
		"attestation": "none", "timeout": 300000.0, "excludeCredentials": []any{},
		"authenticatorSelection": map[string]any{"residentKey": "required", "requireResidentKey": true, "userVerification": "preferred"},
		"pubKeyCredParams": []any{
			map[string]any{"type": "public-key", "alg": -8.0}, map[string]any{"type": "public-key", "alg": -7.0},
			map[string]any{"type": "public-key", "alg": -257.0},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}

	// The authenticator of a passkey makes no second one.
	a := &passkeytest.Authenticator{Origin: origin}
	s.registered(t, u, a)
	if _, err := a.Create(s.registration(t, u).options); !errors.Is(err, passkeytest.ErrExcluded) {
		t.Errorf("a second passkey on one authenticator: %v", err)
	}
	for _, id := range []string{"", strings.Repeat("x", 65)} {
		if _, _, err := s.RegistrationOptions(t.Context(), nil, passkey.User{ID: id}); !errors.Is(err, passkey.ErrInvalidInput) {
			t.Errorf("a user id of %d bytes: %v", len(id), err)
		}
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, tt := range map[string]struct {
		a    *passkeytest.Authenticator
		want passkey.Passkey
	}{
		"security key": {
			a:    &passkeytest.Authenticator{Transports: []string{"nfc", "usb", "usb", "carrier pigeon"}},
			want: passkey.Passkey{DeviceType: "singleDevice", Transports: []string{"usb", "nfc"}, AAGUID: "00000000-0000-0000-0000-000000000000"},
		},
		"synced, EdDSA": {
			a: &passkeytest.Authenticator{Algorithm: passkeytest.EdDSA, BackupEligible: true, BackedUp: true, Uncounted: true,
				AAGUID: [16]byte{15: 1}, Transports: []string{"hybrid", "internal"}},
			want: passkey.Passkey{DeviceType: "multiDevice", BackedUp: true, Transports: []string{"internal", "hybrid"}, AAGUID: "00000000-0000-0000-0000-000000000001"},
		},
		"not backed up yet, without a PIN, with extensions nobody asked for": {
			a:    &passkeytest.Authenticator{BackupEligible: true, Unverified: true, Extensions: map[string]any{"credProps": map[string]any{"rk": true}}},
			want: passkey.Passkey{DeviceType: "multiDevice", Transports: []string{}, AAGUID: "00000000-0000-0000-0000-000000000000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.a.Origin = origin
			u := s.user(t)
			c := s.registration(t, u)
			got, err := s.register(t.Context(), s.db.Pool, u, c.state, create(t, tt.a, c.options), " Blue key ")
			if err != nil {
				t.Fatal(err)
			}
			if got.ID == "" || got.CreatedAt.IsZero() {
				t.Errorf("%+v", got)
			}
			tt.want.ID, tt.want.CreatedAt, tt.want.UserID, tt.want.Name = got.ID, got.CreatedAt, u.ID, "Blue key"
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("passkey (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]passkey.Passkey{tt.want}, s.list(t, u)); diff != "" {
				t.Errorf("list (-want +got):\n%s", diff)
			}
			if a, err := s.use(t, tt.a); err != nil || a.ID != got.ID || a.UserVerified == tt.a.Unverified {
				t.Errorf("sign-in: %+v, %v", a, err)
			}
		})
	}
}

func TestRegistrationsThatFail(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, bend := range map[string]func(*passkeytest.Authenticator, *ceremony){
		"other origin":              func(a *passkeytest.Authenticator, _ *ceremony) { a.Origin = "https://evil.example" },
		"other scheme":              func(a *passkeytest.Authenticator, _ *ceremony) { a.Origin = "http://auth.example.com" },
		"path behind the origin":    func(a *passkeytest.Authenticator, _ *ceremony) { a.Origin = origin + "/" },
		"no origin":                 func(a *passkeytest.Authenticator, _ *ceremony) { a.Origin = "" },
		"frame of another site":     func(a *passkeytest.Authenticator, _ *ceremony) { a.CrossOrigin = true },
		"top origin":                func(a *passkeytest.Authenticator, _ *ceremony) { a.TopOrigin = origin },
		"other relying party":       func(a *passkeytest.Authenticator, _ *ceremony) { a.RPID = "evil.example" },
		"nobody present":            func(a *passkeytest.Authenticator, _ *ceremony) { a.Absent = true },
		"backed up, not eligible":   func(a *passkeytest.Authenticator, _ *ceremony) { a.BackedUp = true },
		"id longer than WebAuthn's": func(a *passkeytest.Authenticator, _ *ceremony) { a.CredentialID = make([]byte, 1024) },
		"other challenge": func(_ *passkeytest.Authenticator, c *ceremony) {
			c.options = edited(t, c.options, func(o map[string]any) { o["challenge"] = strings.Repeat("A", 43) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, a := s.user(t), &passkeytest.Authenticator{Origin: origin}
			c := s.registration(t, u)
			bend(a, &c)
			p, err := s.register(t.Context(), s.db.Pool, u, c.state, create(t, a, c.options), "")
			if !errors.Is(err, passkey.ErrFailed) {
				t.Fatalf("%+v, %v", p, err)
			}
			var f *passkey.Failure
			if !errors.As(err, &f) || f.Reason == nil || err.Error() != "Passkey verification failed" {
				t.Errorf("%v does not keep its reason to itself", err)
			}
			if list := s.list(t, u); len(list) > 0 {
				t.Errorf("kept %+v", list)
			}
		})
	}
}

// A key that cannot verify would be a way to sign in that fails when it is needed.
func TestRegistrationOfABrokenKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	for _, name := range []string{"point off the curve", "too long"} {
		a := &passkeytest.Authenticator{Origin: origin, Key: brokenKeys[name]}
		c := s.registration(t, u)
		if p, err := s.register(t.Context(), s.db.Pool, u, c.state, create(t, a, c.options), ""); !errors.Is(err, passkey.ErrFailed) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

var brokenKeys = map[string][]byte{
	// {1: 2, 3: -7, -1: 1, -2: h'01…', -3: h'01…'}
	"point off the curve": []byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + strings.Repeat("\x01", 32) + "\x22\x58\x20" + strings.Repeat("\x01", 32)),
	// {1: 3, 3: -257, -1: h'80…', -2: h'010001'}
	"too long": []byte("\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x08\x00" + strings.Repeat("\x81", 2048) + "\x21\x43\x01\x00\x01"),
}

func TestRegisteredOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u, other := s.user(t), s.user(t)
	a := &passkeytest.Authenticator{Origin: origin, CredentialID: []byte("id of a passkey")}
	c := s.registration(t, u)
	response := create(t, a, c.options)
	if _, err := s.register(t.Context(), s.db.Pool, u, c.state, response, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.register(t.Context(), s.db.Pool, u, c.state, response, ""); !errors.Is(err, passkey.ErrUsed) {
		t.Errorf("the response again: %v", err)
	}
	twin := &passkeytest.Authenticator{Origin: origin, CredentialID: a.CredentialID}
	for _, who := range []passkey.User{u, other} {
		c := s.registration(t, who)
		options := edited(t, c.options, func(o map[string]any) { o["excludeCredentials"] = nil })
		if _, err := s.register(t.Context(), s.db.Pool, who, c.state, create(t, twin, options), ""); !errors.Is(err, passkey.ErrExists) {
			t.Errorf("the same id again: %v", err)
		}
	}
	if got, err := s.use(t, a); err != nil || got.UserID != u.ID {
		t.Errorf("the first passkey: %+v, %v", got, err)
	}
}

func TestStatesOfRegistration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u, other := s.user(t), s.user(t)
	a := &passkeytest.Authenticator{Origin: origin}
	c := s.registration(t, u)
	response := create(t, a, c.options)
	if _, err := s.register(t.Context(), s.db.Pool, other, c.state, response, ""); !errors.Is(err, passkey.ErrState) {
		t.Errorf("state of another user: %v", err)
	}
	anybody := s.signIn(t, "", false)
	if _, err := s.register(t.Context(), s.db.Pool, passkey.User{}, anybody.state, response, ""); !errors.Is(err, passkey.ErrState) {
		t.Errorf("state of a sign-in: %v", err)
	}
	left := s.user(t)
	if _, err := dbscope.Exec(t.Context(), s.db.Pool, dbscope.System(), `UPDATE auth.users SET deleted_at = now() WHERE id = $1`, left.ID); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []passkey.User{left, {ID: "nobody", Name: "nobody"}} {
		c = s.registration(t, gone)
		if _, err := s.register(t.Context(), s.db.Pool, gone, c.state, create(t, a, c.options), ""); !errors.Is(err, passkey.ErrNotFound) {
			t.Errorf("no such user: %v", err)
		}
	}
}

// addPasskeys gives a user n passkeys.
func (s *site) addPasskeys(t *testing.T, u passkey.User, n int) {
	t.Helper()
	if _, err := dbscope.Exec(t.Context(), s.db.Pool, dbscope.System(),
		`INSERT INTO auth.passkeys (id, user_id, credential_id, public_key, sign_count, name, device_type, backed_up, aaguid)
		 SELECT $1 || n, $1, sha256(($1 || n)::bytea), 'key', 0, 'Passkey', 'singleDevice', false, gen_random_uuid()
		 FROM generate_series(1, $2) AS n`, u.ID, n); err != nil {
		t.Fatal(err)
	}
}

func TestTooManyPasskeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	s.addPasskeys(t, u, passkey.MaxPerUser-1)
	last, oneMore := s.registration(t, u), s.registration(t, u)
	made := create(t, &passkeytest.Authenticator{Origin: origin}, last.options)
	late := create(t, &passkeytest.Authenticator{Origin: origin}, oneMore.options)
	err := s.overlap(t, func(tx pgx.Tx) error {
		_, err := s.RegisterTx(t.Context(), tx, u, last.state, made, "")
		return err
	}, func() error {
		_, err := s.register(t.Context(), s.another(t), u, oneMore.state, late, "")
		return err
	})
	if !errors.Is(err, passkey.ErrTooMany) {
		t.Errorf("two at once where one is left: %v", err)
	}
	_, err = in(t.Context(), s.db.Pool, func(tx pgx.Tx) (string, error) {
		_, state, err := s.RegistrationOptions(t.Context(), tx, u)
		return state, err
	})
	if !errors.Is(err, passkey.ErrTooMany) {
		t.Errorf("options for one more: %v", err)
	}
}
