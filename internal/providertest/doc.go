// Package providertest is an OpenID provider, and a GitHub, for tests: well-behaved
// ones that can be told to misbehave in each way that a client must survive.
package providertest
