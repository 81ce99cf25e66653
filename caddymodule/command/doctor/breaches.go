package doctor

import (
	"time"

	"mana.how/edge/authcore/password"
	"mana.how/edge/caddymodule/config"
)

// breachesAge is how old the passwords of breaches may be without a word.
const breachesAge = 365 * 24 * time.Hour

// breaches examines the directory of breached passwords.
func (d *doctor) breaches(s config.Settings) {
	const check = "breaches"
	if s.BreachedPasswords == "" {
		d.ok(check, "not configured: password_blocklist alone says which passwords are refused")
		return
	}
	var newest time.Time
	b, err := password.OpenBreached(s.BreachedPasswords)
	if err == nil {
		newest, err = b.Newest()
	}
	switch day := newest.Format(time.DateOnly); {
	case err != nil:
		d.fail(check, "%v; load the passwords of breaches again, or take breached_passwords out", err)
	case time.Since(newest) > breachesAge:
		d.warn(check, "%s is of %s; load the passwords of breaches again", s.BreachedPasswords, day)
	default:
		d.ok(check, "%s is of %s", s.BreachedPasswords, day)
	}
}
