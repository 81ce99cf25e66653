package organization

import "errors"

// Errors of organisations. Test with [errors.Is], never by text.
var (
	// ErrNotFound means that there is no such organisation, or none that the caller
	// is a member of: who is not learns nothing.
	ErrNotFound       = errors.New("Organization not found")
	ErrMemberNotFound = errors.New("Member not found")
	// ErrInvitationNotFound means that there is no such invitation, or that it was
	// answered or is too old.
	ErrInvitationNotFound = errors.New("Invitation not found or expired")
	// ErrForbidden means that the caller's role does not allow it.
	ErrForbidden = errors.New("your role in the organization does not allow this")
	// ErrNotRecipient means that an invitation is somebody else's.
	ErrNotRecipient = errors.New("the invitation is for somebody else")
	// ErrLastOwner means that an organisation would have no owner.
	ErrLastOwner = errors.New("an organization needs an owner")
	// ErrOwnerRole means that an owner's role is not the caller's to change.
	ErrOwnerRole      = errors.New("Cannot change the owner's role")
	ErrAlreadyMember  = errors.New("User is already a member of this organization")
	ErrAlreadyInvited = errors.New("User is already invited to this organization")
	ErrSlugTaken      = errors.New("the slug is taken")
	ErrTooMany        = errors.New("too many organizations of one user")
	ErrFull           = errors.New("too many members")
	// ErrNoSeat means that what the organisation pays for has no place for another
	// member.
	ErrNoSeat          = errors.New("no free seat")
	ErrTooManyInvited  = errors.New("too many pending invitations")
	ErrInvitedTooOften = errors.New("too many invitations to one address, or of one organization")
	ErrInvalidInput    = errors.New("Invalid input")
)
