// Package app is the app "mana", which all sites of a process share. Its life, in
// Caddy's order:
//
//	Provision   resolve the settings; every error is reported at once; no I/O
//	            but the files that {file.*} placeholders name
//	Start       take the runtime out of the pool or make it: embedded
//	            PostgreSQL, migrations, keys; an error refuses the reload and
//	            the config that was serving goes on serving
//	Runtime     what handlers call for each request; waits for Start
//	Cleanup     give back what this instance took, and nothing else
//
// It also looks at the routes of all sites, for ways to an app that no directive
// guards.
//
// It is larger than other packages, for the life of the app and what it knows of
// all sites meet in one type that Caddy makes.
package app
