// Package price reads what a request may cost and what it cost.
package price
