package passkey

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// StateTTL is how long a user has to answer options.
const StateTTL = 5 * time.Minute

// Config is a relying party.
type Config struct {
	// RPID is the domain that passkeys are bound to: that of the pages, or one
	// above it. Passkeys are lost when it changes.
	RPID string
	// RPName is what a browser may show for it.
	RPName string
	// Origin reports whether a page of this origin may use passkeys. It gets the
	// origin as the browser serialises it (RFC 6454 section 6.2, such as
	// https://auth.example.com), or whatever else a client sends, and compares all
	// of it.
	Origin func(origin string) bool
	// Key authenticates states: 32 random bytes, the same on every edge.
	Key []byte
	// Now is the clock; nil for that of the system.
	Now func() time.Time
}

// RelyingParty registers and verifies passkeys. Its methods may be called from
// several goroutines.
type RelyingParty struct {
	library *webauthn.WebAuthn
	origin  func(string) bool
	key     []byte
	now     func() time.Time
}

// New checks a configuration and names all its faults at once.
func New(cfg Config) (*RelyingParty, error) {
	var faults []error
	if err := protocol.ValidateRPID(cfg.RPID); err != nil {
		faults = append(faults, fmt.Errorf("RPID %q: %w", cfg.RPID, err))
	}
	if cfg.RPName == "" {
		faults = append(faults, errors.New("RPName is empty"))
	}
	if cfg.Origin == nil {
		faults = append(faults, errors.New("Origin is not set"))
	}
	if len(cfg.Key) != keySize {
		faults = append(faults, fmt.Errorf("Key has %d bytes, want %d", len(cfg.Key), keySize))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	timeouts := webauthn.TimeoutConfig{Timeout: StateTTL, TimeoutUVD: StateTTL}
	library, err := webauthn.New(&webauthn.Config{
		RPID:          cfg.RPID,
		RPDisplayName: cfg.RPName,
		// Each response is verified against the one origin that was asked about.
		RPOrigins:             []string{"https://" + cfg.RPID},
		AttestationPreference: protocol.PreferNoAttestation,
		Timeouts:              webauthn.TimeoutsConfig{Login: timeouts, Registration: timeouts},
		// Password managers report extensions that nobody asked for; level 3 leaves it
		// to the relying party to ignore them (section 7.1, step 20).
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if faults == nil && err != nil {
		faults = append(faults, err)
	}
	if faults != nil {
		return nil, fmt.Errorf("configure passkeys: %w", errors.Join(faults...))
	}
	return &RelyingParty{library: library, origin: cfg.Origin, key: cfg.Key, now: cfg.Now}, nil
}
