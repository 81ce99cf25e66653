package principal_test

import (
	"testing"

	. "mana.how/edge/authcore/principal"
)

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		have Methods
		with []Method
		want Methods
	}{
		{"", nil, ""},
		{"", []Method{MethodPassword}, "pwd"},
		{"pwd", []Method{MethodPassword}, "pwd"},
		{"pwd", []Method{MethodOTP}, "pwd,otp,mfa"},
		{"", []Method{MethodOTP}, "otp"},
		{"", []Method{MethodOTP, MethodEmail}, "email,otp,mfa"},
		{"otp", []Method{MethodOTP}, "otp"},
		{"pwd,otp,mfa", []Method{MethodEmail}, "pwd,email,otp,mfa"},
		{"swk,mfa", []Method{MethodPassword}, "pwd,swk,mfa"},
		{"hwk", []Method{MethodPassword}, "pwd,hwk"},
		{"pwd", []Method{"unheard of"}, "pwd"},
	} {
		if got := tt.have.With(tt.with...); got != tt.want {
			t.Errorf("%q with %q: %q, want %q", tt.have, tt.with, got, tt.want)
		}
	}
	m := MethodsOf(MethodOTP, MethodPassword)
	if m != "pwd,otp" || !m.Has(MethodOTP) || m.Has(MethodEmail) || Methods("").Has("") || len(m.List()) != 2 {
		t.Errorf("methods %q", m)
	}
	if Method("").Valid() || Method("pwd,otp").Valid() || !MethodMultiFactor.Valid() {
		t.Error("a method is valid by its name alone")
	}
}
