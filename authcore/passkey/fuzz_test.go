package passkey_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"mana.how/edge/authcore/passkey"
	"mana.how/edge/internal/passkeytest"
)

// answers are real responses of both ceremonies and what verifies them.
type answers struct {
	rp                      *passkey.RelyingParty
	user                    passkey.User
	made, used              string // states
	registration, assertion json.RawMessage
}

func newAnswers(f *testing.F) answers {
	f.Helper()
	rp, err := passkey.New(config())
	if err != nil {
		f.Fatal(err)
	}
	v := answers{rp: rp, user: passkey.User{ID: "user", Name: "ada@example.com"}}
	options, state, err := rp.NewRegistrationOptions(v.user)
	if err != nil {
		f.Fatal(err)
	}
	a := &passkeytest.Authenticator{Origin: origin, Transports: []string{"usb"}}
	v.made, v.registration = state, create(f, a, options)
	if options, v.used, err = rp.SignInOptions(f.Context(), nil, "", false); err != nil {
		f.Fatal(err)
	}
	v.assertion = get(f, a, options)
	return v
}

// check verifies a response as that of either ceremony: it may fail, and only so.
func (v answers) check(t *testing.T, response json.RawMessage) {
	if _, err := v.rp.Registered(v.made, response); err != nil && !errors.Is(err, passkey.ErrFailed) {
		t.Errorf("as a registration: %v", err)
	}
	made, err := v.rp.Registered(v.made, v.registration)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.rp.Used(v.used, response, v.user, made); err != nil && !errors.Is(err, passkey.ErrFailed) {
		t.Errorf("as an assertion: %v", err)
	}
}

func FuzzResponse(f *testing.F) {
	v := newAnswers(f)
	made, err := v.rp.Registered(v.made, v.registration)
	if err == nil {
		err = v.rp.Used(v.used, v.assertion, v.user, made)
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(v.registration))
	f.Add([]byte(v.assertion))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"bnVsbA","authenticatorData":null}}`))
	f.Fuzz(func(t *testing.T, response []byte) { v.check(t, response) })
}

// FuzzAttestation changes what an authenticator wrote, within a response that
// is whole otherwise.
func FuzzAttestation(f *testing.F) {
	v := newAnswers(f)
	var o struct {
		Response struct{ AttestationObject string }
	}
	if err := json.Unmarshal(v.registration, &o); err != nil {
		f.Fatal(err)
	}
	object, err := base64.RawURLEncoding.DecodeString(o.Response.AttestationObject)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(object)
	f.Add([]byte("\xa3cfmtfpackedgattStmt\xa2calg\x26csigA\x00hauthDataA\x00"))
	f.Fuzz(func(t *testing.T, object []byte) {
		v.check(t, edited(t, v.registration, func(o map[string]any) {
			inner(o)["attestationObject"] = base64.RawURLEncoding.EncodeToString(object)
		}))
	})
}
