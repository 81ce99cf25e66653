package proofofwork

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"strconv"
	"strings"
	"time"
)

// Wait is how long after it was given a ticket is good, for [TTL].
const Wait = 20 * time.Second

// Ticket lets who waits for it go on without work: from Wait after now, once, and
// from the network alone that it is given to. Its form is
// `<Unix seconds of now>.<random>.<signature>`.
func (a Authority) Ticket(network string) string {
	text := strconv.FormatInt(a.Now().Unix(), 10) + "." + rand.Text()
	return text + "." + a.sign("ticket", text+"\x00"+network)
}

// CheckTicket reads a ticket that comes from a network. It fails with
// [ErrInvalid]; early says that waiting longer mends that.
func (a Authority) CheckTicket(ticket, network string) (taken Taken, early bool, err error) {
	text, signature, ok := cutLast(ticket)
	if !ok || len(ticket) > MaxPayload || !hmac.Equal([]byte(signature), []byte(a.sign("ticket", text+"\x00"+network))) {
		return Taken{}, false, ErrInvalid
	}
	first, _, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return Taken{}, false, ErrInvalid
	}
	given, now := time.Unix(seconds, 0), a.Now()
	switch {
	case now.Before(given.Add(Wait)):
		return Taken{}, true, ErrInvalid
	case !now.Before(given.Add(TTL)):
		return Taken{}, false, ErrInvalid
	}
	return Taken{sha256.Sum256([]byte("ticket\x00" + text)), given.Add(TTL)}, false, nil
}

// cutLast cuts a text at its last dot.
func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}
