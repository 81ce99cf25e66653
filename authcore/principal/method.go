package principal

import (
	"slices"
	"strings"
)

// Method is a way to show who one is (RFC 8176, section 2).
type Method string

// The methods there are.
const (
	MethodPassword    Method = "pwd"
	MethodOTP         Method = "otp" // a code of an authenticator, or a backup code
	MethodHardwareKey Method = "hwk" // a passkey that its device keeps for itself
	MethodSoftwareKey Method = "swk" // a passkey that is synchronised
	MethodMultiFactor Method = "mfa" // more than one factor
	MethodEmail       Method = "email"
	MethodFederated   Method = "fed"
)

// known are the methods in the order in which they are told.
var known = []Method{
	MethodPassword, MethodEmail, MethodFederated, MethodOTP, MethodHardwareKey, MethodSoftwareKey, MethodMultiFactor,
}

// Valid reports whether m is a method that a session can have.
func (m Method) Valid() bool { return slices.Contains(known, m) }

// Methods are those that a session was authenticated with, joined by commas. It
// is the value of the header X-Mana-Amr.
type Methods string

// MethodsOf are the given methods, each once, in one order.
func MethodsOf(list ...Method) Methods {
	var names []string
	for _, m := range known {
		if slices.Contains(list, m) {
			names = append(names, string(m))
		}
	}
	return Methods(strings.Join(names, ","))
}

// List are the methods one by one, nil where there are none.
func (m Methods) List() []Method {
	if m == "" {
		return nil
	}
	var list []Method
	for name := range strings.SplitSeq(string(m), ",") {
		list = append(list, Method(name))
	}
	return list
}

// Has reports whether the method is among them.
func (m Methods) Has(method Method) bool { return slices.Contains(m.List(), method) }

// With are those and others. A one-time code beside anything else makes two
// factors.
func (m Methods) With(list ...Method) Methods {
	list = append(m.List(), list...)
	if slices.Contains(list, MethodOTP) && slices.ContainsFunc(list, func(m Method) bool {
		return m != MethodOTP && m != MethodMultiFactor
	}) {
		list = append(list, MethodMultiFactor)
	}
	return MethodsOf(list...)
}
