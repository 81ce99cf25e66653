//go:build !linux

package localpg

import "os"

// exchange lets two directories change places. An end between its steps leaves b away.
func exchange(a, b string) error {
	aside := a + ".old"
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return err
	}
	return os.Rename(aside, a)
}
