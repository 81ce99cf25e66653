// Package desk has the admin's desk: hosted pages of everything that is kept, for
// the people who run the platform, and what they may change of it.
//
// # Who sees what
//
//	guest                       is led to the sign-in
//	user, owner of anything     403
//	support                     sees every page, changes nothing
//	admin, by role or config    sees every page, changes what its forms offer
//
// # Threat model
//
// What the pages show was written by anybody: names, agents, addresses, metadata,
// messages of gifts. It is escaped by the templates, no page has a script, and a link
// leads nowhere but to other pages of the desk, by ids that are escaped for their
// place. Another site may make an admin's browser send what it likes: forms come from
// the base URL, a GET changes nothing but that it notes that somebody's account was
// looked at. Who sits down at a browser that was left alone finds a session: a change
// wants a proof of the last 15 minutes, and a reason. Both the account and the
// admin's own have it on record in the transaction of the change, and those records
// cannot be edited.
//
// It is larger than others because each page of the desk is a file of its own.
package desk
