// Package ratelimit is the directive mana_rate_limit.
package ratelimit
