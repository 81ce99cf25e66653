// Package caddymodule is the face Mana Edge turns to Caddy: the app "mana",
// the directives, the metrics and the commands. Identity itself is in authcore.
//
// # The app
//
// One app serves all sites of a process. Its life, in Caddy's order:
//
//	Provision   resolve the settings; every fault is reported at once; no I/O
//	            but the files that {file.*} placeholders name
//	Start       take the runtime out of the pool or make it: embedded
//	            PostgreSQL, migrations, keys; an error refuses the reload and
//	            the config that was serving goes on serving
//	Runtime     what handlers call for each request; waits for Start
//	Cleanup     give back what this instance took, and nothing else
//
// # What outlives a reload
//
// The runtime (database pool, Redis client, signing keys, caches) is shared by
// all generations of the config whose settings are equal. When its last user
// is gone it waits as long as the longest request may last, then closes; when
// the process exits it closes at once. The embedded PostgreSQL is shared by its
// directory alone, so that changed settings do not restart it. Counters of rate
// limits live as long as the process, or in Redis.
//
// # Secrets
//
// A value written literally into the config is part of Caddy's config, and
// Caddy shows its config to whoever may ask its admin endpoint. Name secrets as
// {env.NAME} or {file.PATH}: then only the name is shown. Resolved secrets are
// held in types that print as "REDACTED".
package caddymodule
