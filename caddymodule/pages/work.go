package pages

import (
	"encoding/json"
	"time"

	"mana.how/edge/internal/proofofwork"
)

// Work is what a form is sent with while proofs of work are asked for: the
// solution of a challenge, which a script of the page finds, or a ticket that is
// good after the wait, for who runs no script.
type Work struct {
	Challenge proofofwork.Challenge
	Ticket    string
	Wait      time.Duration
}

// JSON is the challenge, for the script.
func (w Work) JSON() (string, error) {
	raw, err := json.Marshal(w.Challenge)
	return string(raw), err
}

// Seconds are those of the wait.
func (w Work) Seconds() int { return int(w.Wait / time.Second) }

// AsksForWork reports whether a page has a form that proofs of work are asked of:
// its id is guarded.
func AsksForWork(v View) bool {
	switch v.(type) {
	case Register, Forgot, Resend, Link:
		return true
	}
	return false
}
