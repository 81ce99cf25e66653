package passkey_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore/passkey"
	"mana.how/edge/internal/passkeytest"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	a := &passkeytest.Authenticator{Origin: origin, BackupEligible: true}
	p := s.registered(t, u, a)
	a.BackedUp = true
	a.Origin = "https://app.example.com"
	got, err := s.use(t, a)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != p.ID || got.UserID != u.ID || !got.UserVerified || got.SecondFactor || !got.BackedUp || got.LastUsedAt == nil {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]passkey.Passkey{got.Passkey}, s.list(t, u)); diff != "" {
		t.Errorf("list (-returned +stored):\n%s", diff)
	}
	a.Unverified = true
	a.Origin = "android:apk-key-hash:Zm9v"
	if got, err := s.use(t, a); err != nil || got.UserVerified {
		t.Errorf("without a PIN: %+v, %v", got, err)
	}
}

// Options for anybody are the same for all, read and write nothing.
func TestSignInOptionsForAnybody(t *testing.T) {
	t.Parallel()
	rp, err := passkey.New(config())
	if err != nil {
		t.Fatal(err)
	}
	raw, state, err := rp.SignInOptions(t.Context(), nil, "", false)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if challenge, _ := got["challenge"].(string); len(challenge) != 43 || len(state) != 98 {
		t.Errorf("challenge %q, state %q", challenge, state)
	}
	delete(got, "challenge")
	want := map[string]any{"rpId": "example.com", "timeout": 300000.0, "userVerification": "preferred", "allowCredentials": []any{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if _, _, err := rp.SignInOptions(t.Context(), nil, "", true); !errors.Is(err, passkey.ErrInvalidInput) {
		t.Errorf("a second factor of nobody: %v", err)
	}
	if _, _, err := rp.SignInOptions(t.Context(), nil, strings.Repeat("x", 65), false); !errors.Is(err, passkey.ErrInvalidInput) {
		t.Errorf("a long user id: %v", err)
	}
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u, other, nobody := s.user(t), s.user(t), s.user(t)
	a := &passkeytest.Authenticator{Origin: origin, Transports: []string{"usb"}}
	p := s.registered(t, u, a)
	s.registered(t, other, a)

	c := s.signIn(t, u.ID, true)
	var options struct {
		UserVerification string
		AllowCredentials []struct {
			Type       string
			Transports []string
		}
	}
	if err := json.Unmarshal(c.options, &options); err != nil {
		t.Fatal(err)
	}
	if len(options.AllowCredentials) != 1 || options.AllowCredentials[0].Type != "public-key" ||
		!cmp.Equal(options.AllowCredentials[0].Transports, []string{"usb"}) || options.UserVerification != "discouraged" {
		t.Errorf("%s", c.options)
	}
	// A browser that is given a list need not say whose the passkey is.
	a.NoUserHandle, a.Unverified = true, true
	got, err := s.verify(t.Context(), s.db.Pool, c.state, get(t, a, c.options))
	if err != nil || got.ID != p.ID || !got.SecondFactor || got.UserVerified {
		t.Errorf("%+v, %v", got, err)
	}
	c = s.signIn(t, u.ID, false)
	if got, err := s.verify(t.Context(), s.db.Pool, c.state, get(t, a, c.options)); err != nil || got.SecondFactor {
		t.Errorf("by a session: %+v, %v", got, err)
	}
	_, err = in(t.Context(), s.db.Pool, func(tx pgx.Tx) (string, error) {
		_, state, err := s.SignInOptions(t.Context(), tx, nobody.ID, true)
		return state, err
	})
	if !errors.Is(err, passkey.ErrNotFound) {
		t.Errorf("without a passkey: %v", err)
	}
	// A passkey of somebody else, for a state that names a user.
	for _, factor := range []bool{true, false} {
		for _, silent := range []bool{true, false} {
			a.NoUserHandle = silent
			c = s.signIn(t, u.ID, factor)
			all := edited(t, c.options, func(o map[string]any) { o["allowCredentials"] = nil })
			if got, err := s.verify(t.Context(), s.db.Pool, c.state, get(t, a, all)); !errors.Is(err, passkey.ErrFailed) {
				t.Errorf("passkey of another user: %+v, %v", got, err)
			}
		}
	}
}

// response is the inner object of a response.
func inner(o map[string]any) map[string]any { return o["response"].(map[string]any) }

func TestAssertionsThatFail(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	answer := func(change func(map[string]any)) func(*passkeytest.Authenticator, *ceremony) json.RawMessage {
		return func(a *passkeytest.Authenticator, c *ceremony) json.RawMessage {
			return edited(t, get(t, a, c.options), change)
		}
	}
	bent := func(bend func(*passkeytest.Authenticator)) func(*passkeytest.Authenticator, *ceremony) json.RawMessage {
		return func(a *passkeytest.Authenticator, c *ceremony) json.RawMessage {
			bend(a)
			return get(t, a, c.options)
		}
	}
	for name, respond := range map[string]func(*passkeytest.Authenticator, *ceremony) json.RawMessage{
		"other origin":            bent(func(a *passkeytest.Authenticator) { a.Origin = "https://evil.example" }),
		"other site below":        bent(func(a *passkeytest.Authenticator) { a.Origin = "https://other.example.com" }),
		"other port":              bent(func(a *passkeytest.Authenticator) { a.Origin = origin + ":8443" }),
		"no origin":               bent(func(a *passkeytest.Authenticator) { a.Origin = "" }),
		"frame of another site":   bent(func(a *passkeytest.Authenticator) { a.CrossOrigin = true }),
		"frame that names it":     bent(func(a *passkeytest.Authenticator) { a.CrossOrigin, a.TopOrigin = true, origin }),
		"top origin without one":  bent(func(a *passkeytest.Authenticator) { a.TopOrigin = "https://evil.example" }),
		"other relying party":     bent(func(a *passkeytest.Authenticator) { a.RPID = "evil.example" }),
		"nobody present":          bent(func(a *passkeytest.Authenticator) { a.Absent = true }),
		"became eligible":         bent(func(a *passkeytest.Authenticator) { a.BackupEligible = true }),
		"backed up, not eligible": bent(func(a *passkeytest.Authenticator) { a.BackedUp = true }),
		"no user handle":          bent(func(a *passkeytest.Authenticator) { a.NoUserHandle = true }),
		"other user handle":       answer(func(o map[string]any) { inner(o)["userHandle"] = "b3RoZXI" }),
		"other type":              answer(func(o map[string]any) { o["type"] = "password" }),
		"id that is not rawId":    answer(func(o map[string]any) { o["id"] = "b3RoZXI" }),
		"unknown passkey":         answer(func(o map[string]any) { o["id"], o["rawId"] = "b3RoZXI", "b3RoZXI" }),
		"no signature":            answer(func(o map[string]any) { delete(inner(o), "signature") }),
		"no response":             answer(func(o map[string]any) { delete(o, "response") }),
		"null":                    func(*passkeytest.Authenticator, *ceremony) json.RawMessage { return json.RawMessage("null") },
		"other challenge": func(a *passkeytest.Authenticator, c *ceremony) json.RawMessage {
			return get(t, a, s.signIn(t, "", false).options)
		},
		"answer of a registration": func(_ *passkeytest.Authenticator, c *ceremony) json.RawMessage {
			made := s.registration(t, u)
			return create(t, &passkeytest.Authenticator{Origin: origin}, made.options)
		},
		"too large": func(a *passkeytest.Authenticator, c *ceremony) json.RawMessage {
			return append(get(t, a, c.options), strings.Repeat(" ", passkey.MaxResponse)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &passkeytest.Authenticator{Origin: origin}
			s.registered(t, s.user(t), a)
			c := s.signIn(t, "", false)
			got, err := s.verify(t.Context(), s.db.Pool, c.state, respond(a, &c))
			if !errors.Is(err, passkey.ErrFailed) {
				t.Fatalf("%+v, %v", got, err)
			}
			var f *passkey.Failure
			if !errors.As(err, &f) || f.Reason == nil || err.Error() != "Passkey verification failed" {
				t.Errorf("%v does not keep its reason to itself", err)
			}
		})
	}
}

// signed holds what a signature of an assertion protects.
var signed = []string{"clientDataJSON", "authenticatorData", "signature"}

func TestDamagedResponses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	a := &passkeytest.Authenticator{Origin: origin}
	s.registered(t, u, a)
	c, made := s.signIn(t, "", false), s.registration(t, u)
	response, registration := get(t, a, c.options), create(t, &passkeytest.Authenticator{Origin: origin}, made.options)
	for n := range response {
		if _, err := s.verify(t.Context(), s.db.Pool, c.state, response[:n]); !errors.Is(err, passkey.ErrFailed) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
	for n := range registration {
		if _, err := s.register(t.Context(), s.db.Pool, u, made.state, registration[:n], ""); !errors.Is(err, passkey.ErrFailed) {
			t.Fatalf("the first %d bytes of a registration: %v", n, err)
		}
	}
	for _, field := range append(signed, "userHandle") {
		damage(t, response, field, func(what string, response json.RawMessage) {
			if _, err := s.verify(t.Context(), s.db.Pool, c.state, response); !errors.Is(err, passkey.ErrFailed) {
				t.Fatalf("%s: %v", what, err)
			}
		})
	}
	for _, field := range []string{"clientDataJSON", "attestationObject"} {
		damage(t, registration, field, func(what string, response json.RawMessage) {
			if strings.Contains(what, "changed") { // without attestation nothing protects it
				return
			}
			if _, err := s.register(t.Context(), s.db.Pool, u, made.state, response, ""); !errors.Is(err, passkey.ErrFailed) {
				t.Fatalf("registration, %s: %v", what, err)
			}
		})
	}
	if n := s.challenges(t); n != 1 { // of the passkey that there is
		t.Errorf("%d challenges were taken by responses that failed", n-1)
	}
	if _, err := s.verify(t.Context(), s.db.Pool, c.state, response); err != nil {
		t.Errorf("the whole response: %v", err)
	}
	if _, err := s.register(t.Context(), s.db.Pool, u, made.state, registration, ""); err != nil {
		t.Errorf("the whole registration: %v", err)
	}
}

// damage truncates a field of a response after every byte, and changes every
// byte of it.
func damage(t *testing.T, response json.RawMessage, field string, try func(string, json.RawMessage)) {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(response, &o); err != nil {
		t.Fatal(err)
	}
	whole, err := base64.RawURLEncoding.DecodeString(inner(o)[field].(string))
	if err != nil {
		t.Fatal(err)
	}
	with := func(raw []byte) json.RawMessage {
		return edited(t, response, func(o map[string]any) { inner(o)[field] = base64.RawURLEncoding.EncodeToString(raw) })
	}
	for n := range whole {
		try(field+" truncated", with(whole[:n]))
		changed := append([]byte(nil), whole...)
		changed[n] ^= 0x10
		try(field+" changed", with(changed))
	}
}

func TestChallengeIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := &passkeytest.Authenticator{Origin: origin}
	s.registered(t, s.user(t), a)
	pools := []*pgxpool.Pool{s.db.Pool, s.another(t)}
	for range 5 {
		c := s.signIn(t, "", false)
		response := get(t, a, c.options)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = s.verify(t.Context(), pools[i%2], c.state, response) })
		}
		wg.Wait()
		verified := 0
		for _, err := range errs {
			if err == nil {
				verified++
			} else if !errors.Is(err, passkey.ErrUsed) {
				t.Error(err)
			}
		}
		if verified != 1 {
			t.Errorf("%d of the same response were taken", verified)
		}
		// The counter grew as well: an answer that comes again is no clone.
		if _, err := s.verify(t.Context(), s.db.Pool, c.state, response); !errors.Is(err, passkey.ErrUsed) {
			t.Errorf("afterwards: %v", err)
		}
	}
}

// What the caller rolls back has proven nothing.
func TestChallengeGoesBackWithItsTransaction(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := &passkeytest.Authenticator{Origin: origin}
	s.registered(t, s.user(t), a)
	c := s.signIn(t, "", false)
	response := get(t, a, c.options)
	undo := errors.New("undo")
	if _, err := in(t.Context(), s.db.Pool, func(tx pgx.Tx) (passkey.Assertion, error) {
		if got, err := s.VerifyTx(t.Context(), tx, c.state, response); err != nil {
			return got, err
		}
		return passkey.Assertion{}, undo
	}); !errors.Is(err, undo) {
		t.Fatal(err)
	}
	if _, err := s.verify(t.Context(), s.db.Pool, c.state, response); err != nil {
		t.Error(err)
	}
}

func TestClonedPasskey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.user(t)
	a := &passkeytest.Authenticator{Origin: origin}
	p := s.registered(t, u, a)
	twin := a.Clone()
	for range 2 {
		if _, err := s.use(t, a); err != nil {
			t.Fatal(err)
		}
	}
	before := s.list(t, u)
	for sent := uint32(1); sent <= 2; sent++ { // less than the stored counter, and the same
		c := s.signIn(t, "", false)
		response := get(t, twin, c.options)
		_, err := in(t.Context(), s.db.Pool, func(tx pgx.Tx) (string, error) {
			_, err := s.VerifyTx(t.Context(), tx, c.state, response)
			var cloned *passkey.ClonedError
			if !errors.Is(err, passkey.ErrCloned) || !errors.Is(err, passkey.ErrFailed) || !errors.As(err, &cloned) {
				t.Fatalf("counter %d: %v", sent, err)
			}
			if want := (passkey.ClonedError{PasskeyID: p.ID, UserID: u.ID, Stored: 2, Sent: sent}); *cloned != want {
				t.Errorf("%+v, want %+v", *cloned, want)
			}
			if err.Error() != "Passkey verification failed" {
				t.Errorf("text %q", err)
			}
			_, err = tx.Exec(t.Context(), `SELECT 1`) // the caller goes on in it
			return "", err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, s.list(t, u)); diff != "" {
		t.Errorf("a clone changed the passkey:\n%s", diff)
	}
	twin.Uncounted = true
	if _, err := s.use(t, twin); !errors.Is(err, passkey.ErrCloned) {
		t.Errorf("the same counter once more: %v", err)
	}
	if _, err := s.use(t, a); err != nil {
		t.Errorf("the original: %v", err)
	}
}

// Of two uses at once, the counter of the later one is compared with that of the
// earlier.
func TestCounterOfUsesAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := &passkeytest.Authenticator{Origin: origin}
	s.registered(t, s.user(t), a)
	first, second := s.signIn(t, "", false), s.signIn(t, "", false)
	lower, higher := get(t, a, first.options), get(t, a, second.options)
	err := s.overlap(t, func(tx pgx.Tx) error {
		_, err := s.VerifyTx(t.Context(), tx, second.state, higher)
		return err
	}, func() error {
		_, err := s.verify(t.Context(), s.db.Pool, first.state, lower)
		return err
	})
	if !errors.Is(err, passkey.ErrCloned) {
		t.Errorf("the lower counter after the higher: %v", err)
	}
}

func TestCounterThatStaysZero(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := &passkeytest.Authenticator{Origin: origin, Uncounted: true}
	s.registered(t, s.user(t), a)
	for range 3 {
		if _, err := s.use(t, a); err != nil {
			t.Fatal(err)
		}
	}
	a.Uncounted = false
	if _, err := s.use(t, a); err != nil {
		t.Errorf("begins to count: %v", err)
	}
}
