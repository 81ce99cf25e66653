// Package organization keeps organisations, their members and the invitations to
// join them: what each is, what a role in one may do, and the SQL.
//
// Whoever changes an organisation locks its row first ([LockTx]), and decides
// after that, in statements of their own: of two owners who leave at once the
// second one sees that the first is gone. Rows are locked in the order
// organisation, user, session.
//
// Functions whose names end in Tx run in the caller's transaction, in the scope of
// the system; who may call them is for the caller to decide, by [Role].
package organization
