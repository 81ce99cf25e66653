// Package invoke is what all commands do: find the config and the database, open
// the cores on it, print the result for people or as JSON.
package invoke
