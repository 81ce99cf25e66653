package revocation

// Reasons a session or a user is cut off; they stand in auth.revocations and
// in the event log.
const (
	ReasonSignOut         = "logout"
	ReasonRevoked         = "session_revoked"
	ReasonReuse           = "refresh_reuse"
	ReasonPasswordChanged = "password_changed"
	ReasonDeleted         = "account_deleted"
	ReasonDisabled        = "account_disabled"
	ReasonEnabled         = "account_enabled"
	ReasonRoleChanged     = "role_changed"
	ReasonVerified        = "email_verified"
	ReasonEmailChanged    = "email_changed"
	ReasonFactorChanged   = "second_factor_changed"
	ReasonOrganization    = "organization_changed" // what the user may do in one
	ReasonKeyRevoked      = "api_key_revoked"
	ReasonTokenRevoked    = "token_revoked"    // one access token of an OpenID client
	ReasonDisconnected    = "app_disconnected" // of an OpenID client
)
