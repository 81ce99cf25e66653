package passkeytest_test

import (
	"encoding/json"
	"errors"
	"testing"

	"mana.how/edge/internal/passkeytest"
)

const (
	creation = `{"rp":{"id":"example.com"},"user":{"id":"dXNlcg"},"challenge":"YWJj","pubKeyCredParams":[{"type":"public-key","alg":-7}]}`
	request  = `{"rpId":"example.com","challenge":"YWJj","allowCredentials":[]}`
)

// id is the credential that a response names.
func id(t *testing.T, response json.RawMessage, err error) string {
	t.Helper()
	var r struct{ ID, RawID, Type string }
	if err == nil {
		err = json.Unmarshal(response, &r)
	}
	if err != nil || r.ID == "" || r.ID != r.RawID || r.Type != "public-key" {
		t.Fatalf("%s, %v", response, err)
	}
	return r.ID
}

func TestWhichPasskeyAnswers(t *testing.T) {
	t.Parallel()
	a := &passkeytest.Authenticator{Origin: "https://example.com"}
	if _, err := a.Get(json.RawMessage(request)); !errors.Is(err, passkeytest.ErrNoCredential) {
		t.Errorf("no passkey: %v", err)
	}
	response, err := a.Create(json.RawMessage(creation))
	first := id(t, response, err)
	twin := a.Clone()
	response, err = a.Create(json.RawMessage(creation))
	second := id(t, response, err)
	for name, tt := range map[string]struct {
		a       *passkeytest.Authenticator
		options string
		want    string
	}{
		"the newest":         {a, request, second},
		"the one of a clone": {twin, request, first},
		"the one allowed":    {a, `{"rpId":"example.com","challenge":"YWJj","allowCredentials":[{"type":"public-key","id":"` + first + `"}]}`, first},
	} {
		response, err := tt.a.Get(json.RawMessage(tt.options))
		if got := id(t, response, err); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	for _, options := range []string{
		`{"rpId":"example.org","challenge":"YWJj"}`,
		`{"rpId":"example.com","challenge":"YWJj","allowCredentials":[{"type":"public-key","id":"AAAA"}]}`,
	} {
		if _, err := a.Get(json.RawMessage(options)); !errors.Is(err, passkeytest.ErrNoCredential) {
			t.Errorf("%s: %v", options, err)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	a := &passkeytest.Authenticator{CredentialID: []byte("abc")}
	response, err := a.Create(json.RawMessage(creation))
	id(t, response, err)
	excluding := creation[:len(creation)-1] + `,"excludeCredentials":[{"type":"public-key","id":"YWJj"}]}`
	if _, err := a.Create(json.RawMessage(excluding)); !errors.Is(err, passkeytest.ErrExcluded) {
		t.Errorf("an excluded passkey: %v", err)
	}
	a.Algorithm = passkeytest.EdDSA
	if _, err := a.Create(json.RawMessage(creation)); err == nil {
		t.Error("made a passkey of an algorithm that is not taken")
	}
}
