package authcore_test

import (
	"errors"
	"strings"
	"testing"

	"mana.how/edge/authcore"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, password, reason string }{
		{"empty", "", authcore.PasswordTooShort},
		{"7 characters", "xK9#mq2", authcore.PasswordTooShort},
		{"8 characters", "xK9#mq2v", ""},
		{"7 characters of 4 bytes", strings.Repeat("\U0001F511", 7), authcore.PasswordTooShort},
		{"8 characters of 4 bytes", strings.Repeat("\U0001F511", 8), ""},
		{"128 characters", strings.Repeat("xK9#mq2v", 16), ""},
		{"128 characters of 2 bytes", strings.Repeat("é", 128), ""},
		{"128 composed out of 256", strings.Repeat("e\u0301", 128), ""},
		{"129 characters", strings.Repeat("x", 129), authcore.PasswordTooLong},
		{"8 made of 4 by NFKC", "\uFB03\uFB03\uFB03", ""}, // the ligature ffi, three letters each
		{"common", "password", authcore.PasswordCommon},
		{"common in capitals", "PassWord123", authcore.PasswordCommon},
		{"common in full width", "ｐａｓｓｗｏｒｄ", authcore.PasswordCommon},
		{"common digits", "1234567890", authcore.PasswordCommon},
		{"common keyboard row", "qwertyuiop", authcore.PasswordCommon},
		{"common inside a longer one", "password of my own", ""},
		{"lower case and digits, as dev seeds have", "kv7tq2mw", ""},
	} {
		err := authcore.CheckPassword(tt.password)
		var refused *authcore.PasswordError
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
