// Package federation keeps what sign-in by others needs: which account of a
// provider is whose (rows of auth.accounts), and the sign-ins that are under way
// (auth.provider_flows). Who may be linked to whom is decided by its caller, in
// whose transactions and in the scope of the system everything here runs.
package federation
