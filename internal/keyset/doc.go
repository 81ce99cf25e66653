// Package keyset pages through long lists by the last row that was seen: each page
// begins in an index where the one before ended, and none is slower than the first.
package keyset
