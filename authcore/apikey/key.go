package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"mana.how/edge/authcore/principal"
)

// Prefix is what every key begins with. Behind it stand 32 hexadecimal digits in
// lower case.
const Prefix = "sk_live_"

const (
	digits = 32
	shown  = 16 // characters of a key that are kept in clear
)

// Key is a row of auth.api_keys as its user sees it.
type Key struct {
	ID     string
	UserID string
	Name   string
	// Shown is what tells the key from others: its first characters.
	Shown          string `db:"key_prefix"`
	OrganizationID *string
	Scopes         []string
	// Requests is how many may come in a Window of seconds.
	Requests         int    `db:"rate_limit_requests"`
	Window           int    `db:"rate_limit_window"`
	BudgetCredits    *int64 // thousandths of a credit; nil for no budget
	BudgetPeriod     *Period
	AllowedAddresses []string // addresses and networks in CIDR notation; empty for any
	CreatedAt        time.Time
	ExpiresAt        *time.Time
	LastUsedAt       *time.Time
	RevokedAt        *time.Time
}

// Period is what a budget is for.
type Period string

// The periods. Days and months are those of UTC.
const (
	Day   Period = "day"
	Month Period = "month"
	Total Period = "total" // for ever
)

// Valid reports whether there is such a period.
func (p Period) Valid() bool { return p == Day || p == Month || p == Total }

// Rate is how often the key may be used.
func (k Key) Rate() (requests int, window time.Duration) {
	return k.Requests, time.Duration(k.Window) * time.Second
}

// Grants are the scopes that somebody can ask for.
func (k Key) Grants() principal.Scopes { return principal.ScopesOf(k.Scopes...) }

// Networks are the allowed addresses as networks, nil for any.
func (k Key) Networks() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range k.AllowedAddresses {
		network, err := parseNetwork(text)
		if err != nil {
			network = netip.Prefix{} // which holds nothing
		}
		list = append(list, network)
	}
	return list
}

// parseNetwork reads an address or a network in CIDR notation (RFC 4632).
func parseNetwork(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "/") {
		network, err := netip.ParsePrefix(text)
		if err == nil && network.Addr().Is4In6() {
			if network.Bits() < 96 {
				return netip.Prefix{}, errNetwork
			}
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
		}
		return network.Masked(), err
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, errNetwork
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// networkText is a network as it is stored: a single address without its length.
func networkText(network netip.Prefix) string {
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}

// newSecret makes the text of a key.
func newSecret() string {
	var random [digits / 2]byte
	_, _ = rand.Read(random[:]) // it never fails
	return Prefix + hex.EncodeToString(random[:])
}

// WellFormed reports whether a text can be a key, without asking anybody.
func WellFormed(text string) bool {
	if len(text) != len(Prefix)+digits || !strings.HasPrefix(text, Prefix) {
		return false
	}
	for i := len(Prefix); i < len(text); i++ {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// hashOf is what the database keeps of a key.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// SessionOf is what revocations and access tokens name in the place of a
// session for what a key does.
func SessionOf(id string) string { return "key:" + id }
