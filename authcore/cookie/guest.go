package cookie

import (
	"fmt"
	"strconv"
	"time"

	"mana.how/edge/internal/ids"
)

const (
	guestCookie = "mana.guest"
	// guestLifetime is how long a wallet is known again.
	guestLifetime = 30 * 24 * time.Hour
	// issuedDigits begin the id of a wallet: when it was issued, in Unix seconds, as hex.
	issuedDigits = 8
)

// GuestName is the name of the cookie that knows the wallet of a guest again.
func (c Codec) GuestName() string { return c.prefix + guestCookie }

// NewGuest is the id of a new wallet, and the Set-Cookie value that carries it for 30 days.
func (c Codec) NewGuest(now time.Time) (id, cookie string) {
	id = fmt.Sprintf("%0*x", issuedDigits, now.Unix()) + ids.New()[issuedDigits:]
	return id, c.header(c.GuestName(), c.sign(guestCookie, id), guestLifetime)
}

// Guest is the id of the wallet of raw Cookie headers. One that was issued more than 30
// days ago, whatever a client makes of that, or is not signed by this family, is none.
func (c Codec) Guest(cookieHeaders []string, now time.Time) (id string, ok bool) {
	for value := range (query{cookieHeaders, c.GuestName()}).values {
		id, ok := c.open(guestCookie, value)
		if !ok {
			continue
		}
		issued, err := strconv.ParseInt(id[:issuedDigits], 16, 64)
		if err == nil && now.Sub(time.Unix(issued, 0)) < guestLifetime {
			return id, true
		}
	}
	return "", false
}

// ClearGuest are the Set-Cookie values that make the browser forget its wallet, in the
// domain and, where that is another cookie, on the host.
func (c Codec) ClearGuest() []string {
	values := []string{c.header(c.GuestName(), "", 0)}
	if c.domain != "" {
		c.domain = ""
		values = append(values, c.header(c.GuestName(), "", 0))
	}
	return values
}
