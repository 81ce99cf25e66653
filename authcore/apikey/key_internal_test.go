package apikey

import (
	"net/netip"
	"strings"
	"testing"
)

func TestSecretsAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		secret := newSecret()
		if !WellFormed(secret) || seen[secret] {
			t.Fatalf("%q", secret)
		}
		seen[secret] = true
	}
	for _, text := range []string{
		"", Prefix, Prefix + strings.Repeat("0", 31), Prefix + strings.Repeat("0", 33), Prefix + strings.Repeat("A", 32),
		"SK_LIVE_" + strings.Repeat("0", 32), Prefix + strings.Repeat("0", 31) + "\n", " " + Prefix + strings.Repeat("0", 31),
	} {
		if WellFormed(text) {
			t.Errorf("%q is taken for a key", text)
		}
	}
	// The vector of the contract: SHA-256 in hexadecimal.
	if got := hashOf("abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("hash %s", got)
	}
}

func FuzzParseNetwork(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "10.1.2.3", "::1", "2001:db8::/32", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.0/33", "1.2.3.4/ 8", "/8", "::/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		network, err := parseNetwork(text)
		if err != nil {
			return
		}
		if !network.IsValid() || network.Addr().Is4In6() || network.Addr().Zone() != "" || network != network.Masked() {
			t.Fatalf("%q gave %v", text, network)
		}
		again, err := parseNetwork(networkText(network))
		if err != nil || again != network {
			t.Fatalf("%q is stored as %q, which is read as %v, %v", text, networkText(network), again, err)
		}
	})
}

// What was stored by hand and is no network lets nobody in.
func TestUnreadableNetworksHoldNobody(t *testing.T) {
	t.Parallel()
	networks := Key{AllowedAddresses: []string{"anywhere"}}.Networks()
	if len(networks) != 1 || networks[0].Contains(netip.MustParseAddr("192.0.2.1")) {
		t.Errorf("%v", networks)
	}
}
