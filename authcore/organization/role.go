package organization

// Role is what a member may do in an organisation.
type Role string

// The roles there are. Outsiders have none, which may do nothing.
const (
	RoleOwner  Role = "owner"  // everything
	RoleAdmin  Role = "admin"  // everything but what concerns owners and the whole organisation
	RoleMember Role = "member" // read
)

// Valid reports whether r is a role the database knows.
func (r Role) Valid() bool { return r == RoleOwner || r == RoleAdmin || r == RoleMember }

// Assignable reports whether somebody can be invited in the role, or given it.
// Who is to own an organisation has it transferred.
func (r Role) Assignable() bool { return r == RoleAdmin || r == RoleMember }

// Manages reports whether the role may change what the organisation is called,
// invite and cancel invitations, and change and remove members.
func (r Role) Manages() bool { return r == RoleOwner || r == RoleAdmin }

// Owns reports whether the role may transfer the organisation, and delete it.
func (r Role) Owns() bool { return r == RoleOwner }

// MayChange reports whether the role may give a member who has the other role
// another one, and remove them.
func (r Role) MayChange(other Role) bool {
	return r == RoleOwner || r == RoleAdmin && other != RoleOwner
}
