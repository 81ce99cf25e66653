package auth

import (
	"context"
	"encoding/json"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
)

type secondFactorRequest struct {
	Challenge   string `json:"challenge" rule:"max=128,string"`
	Code        string `json:"code" rule:"max=64,string"`
	Method      string `json:"method" rule:"optional,oneof=totp|backup_code"`
	TrustDevice *bool  `json:"trustDevice" rule:"optional"`
	DeviceID    string `json:"deviceId" rule:"optional,max=255,string"`
	DeviceName  string `json:"deviceName" rule:"optional,max=255,string"`
}

// loginSecondFactor completes a sign-in of a client without cookies.
func loginSecondFactor(ctx context.Context, c *endpoint.Call, req secondFactorRequest) (sso.TokenResponse, error) {
	c.Client.DeviceID, c.Client.DeviceName = req.DeviceID, req.DeviceName
	tokens, trusted, err := c.Auth.CompleteSignIn(ctx, c.Client, authcore.FactorAnswer{
		Challenge: req.Challenge, Code: req.Code, Kind: authcore.FactorKind(req.Method), TrustDevice: req.TrustDevice != nil && *req.TrustDevice,
	})
	sso.Completed(c, trusted, err)
	if err != nil {
		return sso.TokenResponse{}, err
	}
	return sso.TokensOf(tokens), nil
}

type verifyFactorRequest struct {
	Code        string `json:"code" rule:"max=64,string"`
	Challenge   string `json:"challenge" rule:"optional,max=128,string"`
	TrustDevice *bool  `json:"trustDevice" rule:"optional"`
}

// verifiedFactor is a completed sign-in or, of who is signed in, that the code
// was right.
type verifiedFactor struct {
	Status *bool        `json:"status,omitempty"`
	Token  string       `json:"token,omitempty"`
	User   *sessionUser `json:"user,omitempty"`
}

// verifyTOTP completes a sign-in. Without one under way it confirms the second
// factor that the caller has set up.
func verifyTOTP(ctx context.Context, c *endpoint.Call, req verifyFactorRequest) (verifiedFactor, error) {
	if req.Challenge == "" && (len(c.Request.Header["Authorization"]) > 0 || sso.Challenge(c) == "") {
		if err := sso.Owner(ctx, c); err != nil {
			return verifiedFactor{}, err
		}
		if err := firstError(c); err != nil {
			return verifiedFactor{}, err
		}
		right := true
		return verifiedFactor{Status: &right}, c.Auth.ConfirmTwoFactor(ctx, c.Caller, req.Code)
	}
	return completeFactor(ctx, c, authcore.FactorTOTP, req)
}

func verifyBackupCode(ctx context.Context, c *endpoint.Call, req verifyFactorRequest) (verifiedFactor, error) {
	return completeFactor(ctx, c, authcore.FactorBackupCode, req)
}

// completeFactor begins the browser session of a sign-in whose first factor was
// right.
func completeFactor(ctx context.Context, c *endpoint.Call, kind authcore.FactorKind, req verifyFactorRequest) (verifiedFactor, error) {
	if err := checkOrigin(c); err != nil {
		return verifiedFactor{}, err
	}
	if err := firstError(c); err != nil {
		return verifiedFactor{}, err
	}
	b, err := sso.Complete(ctx, c, authcore.FactorAnswer{
		Challenge: req.Challenge, Kind: kind, Code: req.Code, TrustDevice: req.TrustDevice != nil && *req.TrustDevice,
	})
	if err != nil {
		return verifiedFactor{}, err
	}
	u := userOf(b.User())
	return verifiedFactor{Token: b.Session().Token, User: &u}, nil
}

// passwordRequest shows once more who asks. Without a password the session must
// have been authenticated recently.
type passwordRequest struct {
	Password string `json:"password" rule:"optional,string"`
}

type enrollmentResponse struct {
	TOTPURI     string   `json:"totpURI"`
	BackupCodes []string `json:"backupCodes"`
}

// byOwner runs what only the owner of the account may do to its second factor.
func byOwner[R any](ctx context.Context, c *endpoint.Call, do func() (R, error)) (R, error) {
	var none R
	if err := sso.Owner(ctx, c); err != nil {
		return none, err
	}
	if err := firstError(c); err != nil {
		return none, err
	}
	return do()
}

func enableTwoFactor(ctx context.Context, c *endpoint.Call, req passwordRequest) (enrollmentResponse, error) {
	return byOwner(ctx, c, func() (enrollmentResponse, error) {
		e, err := c.Auth.EnrollTwoFactor(ctx, c.Caller, req.Password)
		return enrollmentResponse{e.URI, e.BackupCodes}, err
	})
}

type statusResponse struct {
	Status bool `json:"status"`
}

func disableTwoFactor(ctx context.Context, c *endpoint.Call, req passwordRequest) (statusResponse, error) {
	return byOwner(ctx, c, func() (statusResponse, error) {
		err := c.Auth.DisableTwoFactor(ctx, c.Caller, req.Password)
		if err == nil {
			c.SetCookie(c.Auth.Cookies().TrustedDevice().Clear())
		}
		return statusResponse{true}, err
	})
}

type backupCodesResponse struct {
	Status      bool     `json:"status"`
	BackupCodes []string `json:"backupCodes"`
}

func renewBackupCodes(ctx context.Context, c *endpoint.Call, req passwordRequest) (backupCodesResponse, error) {
	return byOwner(ctx, c, func() (backupCodesResponse, error) {
		codes, err := c.Auth.RenewBackupCodes(ctx, c.Caller, req.Password)
		return backupCodesResponse{true, codes}, err
	})
}

type twoFactorResponse struct {
	Enabled         bool                  `json:"enabled"`
	Methods         []authcore.FactorKind `json:"methods"`
	BackupCodesLeft int                   `json:"backupCodesLeft"`
	TrustedDevices  int                   `json:"trustedDevices"`
}

func twoFactor(ctx context.Context, c *endpoint.Call, _ endpoint.None) (twoFactorResponse, error) {
	t, err := c.Auth.TwoFactor(ctx, c.Caller)
	if t.Methods == nil {
		t.Methods = []authcore.FactorKind{}
	}
	return twoFactorResponse{t.Enabled, t.Methods, t.BackupCodes, t.TrustedDevices}, err
}

// errOneProof refuses none of the proofs, or several.
var errOneProof = &endpoint.Error{Status: 400, Code: "INVALID_INPUT", Message: "One of password, code and response must be given"}

// reauthenticateRequest is one of three proofs. Response is a passkey's.
type reauthenticateRequest struct {
	Password string          `json:"password" rule:"optional,string"`
	Code     string          `json:"code" rule:"optional,max=64,string"`
	Response json.RawMessage `json:"response" rule:"optional,object"`
}

type reauthenticatedResponse struct {
	Success     bool          `json:"success"`
	AuthTime    endpoint.Time `json:"authTime"`
	AccessToken string        `json:"accessToken"`
	ExpiresIn   int64         `json:"expiresIn"`
}

// reauthenticate renews the proof that the caller's session stands on.
func reauthenticate(ctx context.Context, c *endpoint.Call, req reauthenticateRequest) (reauthenticatedResponse, error) {
	proof := authcore.Reauthentication{Password: req.Password, Code: req.Code}
	given := 0
	for _, has := range []bool{req.Password != "", req.Code != "", len(req.Response) > 0} {
		if has {
			given++
		}
	}
	if given != 1 {
		return reauthenticatedResponse{}, errOneProof
	}
	if len(req.Response) > 0 {
		a := sso.PasskeyAnswer(c, req.Response)
		proof.Passkey = &a
	}
	r, err := c.Auth.Reauthenticate(ctx, c.Caller, proof)
	return reauthenticatedResponse{true, endpoint.Time(r.At), r.AccessToken, int64(r.ExpiresIn.Seconds())}, err
}
