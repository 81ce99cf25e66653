package apikey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/usertext"
)

var (
	// ErrInvalid means that a text is no key, or that of one which is revoked,
	// expired, or of somebody who may not use it any more. Its text is part of the
	// wire contract.
	ErrInvalid = errors.New("Invalid or revoked API key")
	// ErrAddress means that the key is good, but not where it is used from.
	ErrAddress = errors.New("API key is not allowed from this address")
	// ErrNotFound means that the user has no such key, or none that lives.
	ErrNotFound = errors.New("API key not found")
	// ErrTooMany means that the user has [MaxPerUser] live keys.
	ErrTooMany = errors.New("too many API keys for one account")
	// ErrOrganization means that the user is neither owner nor admin of the
	// organisation the key is to be for.
	ErrOrganization = errors.New("only owners and admins make API keys for an organization")

	errNetwork = errors.New("is neither an address nor a network")
)

// Limits of what a key may have.
const (
	MaxPerUser   = 100 // live keys
	MaxName      = 100 // characters
	MaxScopes    = 50
	MaxAddresses = 64
	MaxRequests  = 1000
	MaxWindow    = 3600 // seconds
)

// The defaults of what an order leaves out, as of the contract.
var defaultScopes = []string{"stt", "tts"}

const (
	defaultRequests = 60
	defaultWindow   = 60
)

// Order is what a key is to be. What is zero takes the default; no Scopes at
// all, which is nil, are those of the speech services, and empty ones are none.
type Order struct {
	Name             string
	Scopes           []string
	Requests         int
	Window           int     // seconds
	Budget           *Budget // nil for none
	AllowedAddresses []string
	ExpiresAt        *time.Time
	OrganizationID   string
}

// Budget is what a key may spend in a period, in thousandths of a credit.
type Budget struct {
	Credits int64
	Period  Period
}

// Faults are what is wrong with an order, each a sentence that begins with the
// field's name on the wire.
type Faults []string

func (f Faults) Error() string { return strings.Join(f, "; ") }

// prepared fills in the defaults and brings what is given into one form. It
// fails with [Faults].
func (o Order) prepared(now time.Time) (Order, error) {
	var faults Faults
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	name, err := usertext.Line(o.Name, MaxName)
	if err != nil {
		fault("name %v", err)
	} else if name == "" {
		fault("name should not be empty")
	}
	o.Name = name
	if o.Scopes == nil {
		o.Scopes = defaultScopes
	}
	o.Scopes = slices.Clone(o.Scopes)
	for _, scope := range o.Scopes {
		if !principal.ValidScope(scope) {
			fault("each value in scopes must be 1 to %d letters, digits or signs of :._-/* without blanks", principal.MaxScope)
			break
		}
	}
	if len(o.Scopes) > MaxScopes {
		fault("scopes must contain no more than %d elements", MaxScopes)
	}
	if o.Requests == 0 {
		o.Requests = defaultRequests
	}
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.Requests < 1 || o.Requests > MaxRequests {
		fault("rateLimitRequests must be from 1 to %d", MaxRequests)
	}
	if o.Window < 1 || o.Window > MaxWindow {
		fault("rateLimitWindow must be from 1 to %d", MaxWindow)
	}
	if o.Budget != nil {
		if o.Budget.Credits <= 0 {
			fault("budget.credits must be a positive number")
		}
		if !o.Budget.Period.Valid() {
			fault("budget.period must be one of the following values: day, month, total")
		}
	}
	if len(o.AllowedAddresses) > MaxAddresses {
		fault("allowedAddresses must contain no more than %d elements", MaxAddresses)
	}
	list := make([]string, 0, len(o.AllowedAddresses))
	for _, text := range o.AllowedAddresses {
		network, err := parseNetwork(text)
		if err != nil {
			fault("each value in allowedAddresses must be an IP address or a network in CIDR notation")
			break
		}
		list = append(list, networkText(network))
	}
	o.AllowedAddresses = list
	if o.ExpiresAt != nil && !o.ExpiresAt.After(now) {
		fault("expiresAt must be in the future")
	}
	if faults != nil {
		return Order{}, faults
	}
	return o, nil
}
