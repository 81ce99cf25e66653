package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/openapi"
)

// limitGroups are routes of one purpose, whichever client they are for: apps, the
// browsers of Better Auth's client, and the forms of the pages.
var limitGroups = map[string][]string{
	"login":    {"POST /api/v1/auth/login", "POST /api/auth/sign-in/email", "POST /login"},
	"register": {"POST /api/v1/auth/register", "POST /api/v1/auth/register/b2b", "POST /register"},
	"refresh":  {"POST /api/v1/auth/refresh"},
	"second_factor": {
		"POST /api/v1/auth/login/second-factor", "POST /api/v1/auth/login/second-factor/passkey",
		"POST /api/auth/two-factor/verify-totp", "POST /api/auth/two-factor/verify-backup-code", "POST /two-factor",
	},
	"passkey":         {"POST /api/v1/auth/passkeys/authenticate/options", "POST /api/v1/auth/passkeys/authenticate/verify"},
	"mail_link":       {"POST /api/auth/magic-link/send-magic-link", "POST /api/auth/sign-in/magic-link", "POST /login/link"},
	"forgot_password": {"POST /api/v1/auth/forgot-password", "POST /forgot-password"},
	"reset_password":  {"POST /api/v1/auth/reset-password", "POST /reset-password"},
	"verification":    {"POST /api/v1/auth/resend-verification", "POST /resend-verification"},
}

// setLimits gives routes the limits that the admin has set by the name of a group
// or by an operation id; the latter goes first where both name a route.
func setLimits(routes []endpoint.Route, limits map[string]endpoint.Limit) error {
	group := make(map[string]string)
	for name, members := range limitGroups {
		for _, member := range members {
			group[member] = name
		}
	}
	used := make(map[string]bool)
	for i := range routes {
		rt := &routes[i]
		for _, name := range []string{group[rt.Method+" "+rt.Path], openapi.OperationID(rt)} {
			if limit, set := limits[name]; set {
				rt.Limit, used[name] = limit, true
			}
		}
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		if !used[name] {
			faults = append(faults, fmt.Errorf("limits: %q is neither the operation id of a route (see /api-docs) nor one of %s", name,
				strings.Join(slices.Sorted(maps.Keys(limitGroups)), ", ")))
		}
	}
	return errors.Join(faults...)
}
