package config_test

import (
	"strings"
	"testing"

	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/edgetest"
)

func serviceKeys(list ...config.ServiceKeyConfig) config.Config {
	return config.Config{
		BaseURL: "https://auth.mana.how", Database: &config.DatabaseConfig{Embedded: &config.EmbeddedConfig{}},
		ServiceKey: "the-key-of-all", ServiceKeys: list,
	}
}

func TestServiceKeys(t *testing.T) {
	t.Parallel()
	env := config.Environment(func(string) (string, bool) { return "", false })
	settings, err := serviceKeys(
		config.ServiceKeyConfig{Name: "chat", Key: "the-key-of-chat", Scopes: []string{"credits:charge", "credits:refund"}},
		config.ServiceKeyConfig{Name: "matrix-bot", Key: "the-key-of-the-bot", Scopes: []string{"matrix:session"}},
	).Resolve(env)
	if err != nil {
		t.Fatal(err)
	}
	keys := settings.ServiceKeys()
	for _, c := range []struct {
		secret string
		scope  servicekey.Scope
		app    string
		may    bool
	}{
		{"the-key-of-all", servicekey.GrantCredits, "anything", true},
		{"the-key-of-all", "", "", true},
		{"the-key-of-chat", servicekey.ChargeCredits, "chat", true},
		{"the-key-of-chat", servicekey.ChargeCredits, "images", false},
		{"the-key-of-chat", servicekey.ChargeCredits, "", false},
		{"the-key-of-chat", servicekey.ReadCredits, "chat", false},
		{"the-key-of-chat", "", "chat", false}, // what has no scope is for the key of all
		{"the-key-of-the-bot", servicekey.MatrixSession, "matrix-bot", true},
	} {
		k, ok := keys.Find(c.secret)
		if got := ok && k.May(c.scope) && k.MayActFor(c.app); got != c.may {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for _, secret := range []string{"", "the-key-of-chat ", "the-key-of-cha", "chat"} {
		if _, ok := keys.Find(secret); ok {
			t.Errorf("%q is taken for a key", secret)
		}
	}
	if (servicekey.Key{}).May(servicekey.ReadCredits) || (servicekey.Key{}).May("") || (servicekey.Key{}).MayActFor("") {
		t.Error("no key may do something")
	}
}

func TestFaultsOfServiceKeys(t *testing.T) {
	t.Parallel()
	env := config.Environment(func(string) (string, bool) { return "", false })
	scopes := []string{"credits:charge"}
	_, err := serviceKeys(
		config.ServiceKeyConfig{Name: "SECRET/key==", Key: "credits:charge"},
		config.ServiceKeyConfig{Name: "none", Key: "{env.NOT_SET}", Scopes: scopes},
		config.ServiceKeyConfig{Name: "idle", Key: "k1-SECRET"},
		config.ServiceKeyConfig{Name: "root", Key: "k2-SECRET", Scopes: []string{"credits:all"}},
		config.ServiceKeyConfig{Name: "twice", Key: "k3-SECRET", Scopes: scopes},
		config.ServiceKeyConfig{Name: "twice", Key: "k4-SECRET", Scopes: scopes},
		config.ServiceKeyConfig{Name: "same", Key: "the-key-of-all", Scopes: scopes},
		config.ServiceKeyConfig{Name: "same2", Key: "k3-SECRET", Scopes: scopes},
	).Resolve(env)
	edgetest.WantFaults(t, err,
		"service_key: a name has lower-case letters", "service_key: none: the key is empty", "service_key: idle: needs one scope or more",
		"service_key: root: a scope is none of", "service_key: twice is there twice", "service_key: same: another back end has the same key",
		"service_key: same2: another back end has the same key")
	if err != nil && strings.Contains(err.Error(), "SECRET") {
		t.Errorf("a fault quotes a key: %v", err)
	}
}
