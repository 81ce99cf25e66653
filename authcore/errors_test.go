package authcore_test

import (
	"strings"
	"testing"

	"mana.how/edge/authcore"
)

// Clients refresh on phrases. What a refresh does not mend has none of them.
func TestTextsOnWhichClientsDoNotRefresh(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		authcore.ErrInvalidCredentials, authcore.ErrWrongPassword, authcore.ErrNoSession, authcore.ErrNoPassword,
		authcore.ErrInvalidRefreshToken, authcore.ErrRefreshExpired, &authcore.LockedError{},
	} {
		text := strings.ToLower(err.Error())
		for _, phrase := range []string{"jwt expired", "token has expired", "invalid token", "token validation failed", "claim"} {
			if strings.Contains(text, phrase) {
				t.Errorf("%q makes clients refresh", err)
			}
		}
	}
}
