package cookie_test

import (
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore/cookie"
)

func TestGuestCookie(t *testing.T) {
	t.Parallel()
	key := []byte("a key of thirty-two bytes or more")
	c := cookie.New("https://auth.mana.how", ".mana.how", key)
	now := time.Now()
	id, set := c.NewGuest(now)
	pair, attributes, _ := strings.Cut(set, "; ")
	if len(id) != 32 || attributes != "Max-Age=2592000; Domain=.mana.how; Path=/; HttpOnly; Secure; SameSite=Lax" || !strings.HasPrefix(pair, "__Secure-mana.guest="+id) {
		t.Fatalf("%q", set)
	}
	for name, codec := range map[string]cookie.Codec{"own": c, "rotated": cookie.New("https://auth.mana.how", ".mana.how", []byte("another key of thirty-two bytes .."), key)} {
		if got, ok := codec.Guest([]string{"a=b", "__Secure-mana.guest=rubbish; " + pair}, now.Add(30*24*time.Hour-time.Minute)); !ok || got != id {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
		if got, ok := codec.Guest([]string{pair}, now.Add(30*24*time.Hour+time.Second)); ok {
			t.Errorf("%s: %q is good for ever", name, got)
		}
	}
	foreign := cookie.New("https://auth.mana.how", ".mana.how", []byte("the key of another family, as long"))
	if got, ok := foreign.Guest([]string{pair}, now); ok {
		t.Errorf("another family's: %q", got)
	}
	// A signature for one purpose serves no other.
	value := strings.TrimPrefix(pair, "__Secure-mana.guest")
	if got, ok := c.Device([]string{c.DeviceName() + value}); ok {
		t.Errorf("a device by it: %q", got)
	}
	if got := c.Tokens([]string{c.Name() + value}); got != nil {
		t.Errorf("sessions by it: %q", got)
	}
	if again, _ := c.NewGuest(now); again == id {
		t.Error("two guests are one")
	}
	clears := c.ClearGuest()
	if len(clears) != 2 || clears[0] != "__Secure-mana.guest=; Max-Age=0; Domain=.mana.how; Path=/; HttpOnly; Secure; SameSite=Lax" ||
		clears[1] != "__Secure-mana.guest=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("%q", clears)
	}
}
