// Command bench measures what the gate costs and what the edge can do, on the
// machine it runs on. Absolute figures of one machine say little, so whatever
// is compared runs in alternating rounds of one run, and the medians of the
// rounds' ratios are printed beside their targets:
//
//	gate        the same binary, the same upstream: without the gate, with a
//	            bearer token, with an assertion for the app, with the sign-on cookie
//	peers       caddy-security's authorize with a token of its own; caddy-ratelimit
//	            against mana_rate_limit
//	sign-in     logins a second against the argon2id hashes the CPU can do
//	api         refresh and validate
//	openid      tokens, introspection and refresh of clients, beside an example provider
//	credits     balance, history and debits against the same work by pgbench, batches of
//	            debits, metered routes and streams beside the gate alone
//	memory      resident set idle, and with 100 000 cached sessions
//	cold start  process start to the first answer, database initialised
//
// Everything listens on 127.0.0.1, runs for a bounded time and is stopped at
// the end.
//
// It is one program of a little more than the usual size: its scenarios share the
// stand that they run on.
package main
