package session

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/principal"
)

// StoredToken is what auth.sessions holds for a cookie's token, and for a refresh
// token of the replaced service.
func StoredToken(token string) string {
	d := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(d[:])
}

// WithUser is a session and its account, as they are read in one row.
type WithUser struct {
	Session
	UserName      string
	UserEmail     string
	UserVerified  bool
	UserImage     *string
	UserRole      principal.Role
	UserEpoch     int32
	UserFactor    bool
	UserCreatedAt time.Time
	UserUpdatedAt time.Time
}

// UserColumns are those of auth.users, as u, that [WithUser] has beside the session.
const UserColumns = `u.name AS user_name, u.email AS user_email, u.email_verified AS user_verified,
	u.image AS user_image, u.role::text AS user_role, u.auth_epoch AS user_epoch, u.second_factor AS user_factor, u.created_at AS user_created_at, u.updated_at AS user_updated_at`

// User is the account of the row.
func (r WithUser) User() account.User {
	return account.User{ID: r.UserID, Name: r.UserName, Email: r.UserEmail, EmailVerified: r.UserVerified,
		Image: r.UserImage, Role: r.UserRole, AuthEpoch: r.UserEpoch, SecondFactor: r.UserFactor, CreatedAt: r.UserCreatedAt, UpdatedAt: r.UserUpdatedAt}
}

// Columns are those of auth.sessions, as s, that make a [Session].
const Columns = `s.id, s.user_id, s.id AS token, s.parent_id, s.kind, s.persistent,
	s.created_at, s.updated_at, s.expires_at, s.last_activity_at,
	s.ip_address, s.user_agent, s.device_id, s.device_name, s.revoked_at, s.authenticated_at, s.amr, s.client_id, coalesce(s.scopes, '') AS scopes,
	(SELECT m.organization_id` + activeMembership + `) AS active_organization_id, (SELECT m.role` + activeMembership + `) AS organization_role`

// activeMembership is what the user of a session is in the organisation that is its
// active one. Who has left it since has none, whatever the row says.
const activeMembership = ` FROM auth.members AS m WHERE m.organization_id = s.active_organization_id AND m.user_id = s.user_id`
