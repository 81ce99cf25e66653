package password_test

import (
	"errors"
	"strings"
	"testing"

	"mana.how/edge/authcore/password"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, password, reason string }{
		{"empty", "", password.TooShort},
		{"7 characters", "xK9#mq2", password.TooShort},
		{"8 characters", "xK9#mq2v", ""},
		{"7 characters of 4 bytes", strings.Repeat("\U0001F511", 7), password.TooShort},
		{"8 characters of 4 bytes", strings.Repeat("\U0001F511", 8), ""},
		{"128 characters", strings.Repeat("xK9#mq2v", 16), ""},
		{"128 characters of 2 bytes", strings.Repeat("é", 128), ""},
		{"128 composed out of 256", strings.Repeat("e\u0301", 128), ""},
		{"129 characters", strings.Repeat("x", 129), password.TooLong},
		{"8 made of 4 by NFKC", "\uFB03\uFB03\uFB03", ""}, // the ligature ffi, three letters each
		{"common", "password", password.Common},
		{"common in capitals", "PassWord123", password.Common},
		{"common in full width", "ｐａｓｓｗｏｒｄ", password.Common},
		{"common digits", "1234567890", password.Common},
		{"common keyboard row", "qwertyuiop", password.Common},
		{"common inside a longer one", "password of my own", ""},
		{"lower case and digits, as dev seeds have", "kv7tq2mw", ""},
	} {
		err := password.Policy{}.Check(tt.password)
		var refused *password.Error
		reason := ""
		if errors.As(err, &refused) {
			reason = refused.Reason
		} else if err != nil {
			t.Errorf("%s: %T", tt.name, err)
		}
		if reason != tt.reason {
			t.Errorf("%s: reason %q, want %q", tt.name, reason, tt.reason)
		}
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	list := password.Refusing("hunter2hunter2\r\n\nÄrger über alles\n")
	for _, tt := range []struct {
		name     string
		policy   password.Policy
		password string
		good     bool
	}{
		{"common by default", password.Policy{}, "password1", false},
		{"common, off", password.AnyPassword(), "password1", true},
		{"short, off", password.AnyPassword(), "short", false},
		{"listed", list, "hunter2hunter2", false},
		{"listed in another case", list, "HUNTER2hunter2", false},
		{"listed in another composition", list, "A\u0308rger \u00fcber alles", false},
		{"common, not listed", list, "password1", true},
		{"an empty line is no password", list, "        ", true},
	} {
		if err := tt.policy.Check(tt.password); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
