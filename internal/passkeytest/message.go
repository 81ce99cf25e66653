package passkeytest

import (
	"encoding/base64"
	"encoding/json"
)

// encoded is bytes as base64url without padding, the Base64URLString of WebAuthn.
type encoded []byte

func (e encoded) MarshalJSON() ([]byte, error) {
	return json.Marshal(base64.RawURLEncoding.EncodeToString(e))
}

func (e *encoded) UnmarshalJSON(raw []byte) error {
	var text string
	err := json.Unmarshal(raw, &text)
	if err == nil {
		*e, err = base64.RawURLEncoding.DecodeString(text)
	}
	return err
}

type creationOptions struct {
	RP         struct{ ID string }
	User       struct{ ID encoded }
	Challenge  encoded
	Parameters []parameter  `json:"pubKeyCredParams"`
	Exclude    []descriptor `json:"excludeCredentials"`
}

type requestOptions struct {
	RPID      string
	Challenge encoded
	Allow     []descriptor `json:"allowCredentials"`
}

type parameter struct {
	Algorithm int64 `json:"alg"`
}

type descriptor struct{ ID encoded }

type response struct {
	ID         encoded        `json:"id"`
	RawID      encoded        `json:"rawId"`
	Type       string         `json:"type"`
	Attachment string         `json:"authenticatorAttachment"`
	Extensions map[string]any `json:"clientExtensionResults"`
}

func (a *Authenticator) response(c *credential) response {
	r := response{ID: c.id, RawID: c.id, Type: "public-key", Attachment: "cross-platform", Extensions: a.Extensions}
	if r.Extensions == nil {
		r.Extensions = map[string]any{}
	}
	return r
}

type registrationResponse struct {
	response
	Response attestation `json:"response"`
}

type attestation struct {
	ClientDataJSON     encoded  `json:"clientDataJSON"`
	AttestationObject  encoded  `json:"attestationObject"`
	AuthenticatorData  encoded  `json:"authenticatorData"`
	PublicKeyAlgorithm int64    `json:"publicKeyAlgorithm"`
	Transports         []string `json:"transports"`
}

type authenticationResponse struct {
	response
	Response assertion `json:"response"`
}

type assertion struct {
	ClientDataJSON    encoded `json:"clientDataJSON"`
	AuthenticatorData encoded `json:"authenticatorData"`
	Signature         encoded `json:"signature"`
	UserHandle        encoded `json:"userHandle,omitempty"`
}
