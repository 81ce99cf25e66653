package config

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"mana.how/edge/authcore/password"
	"mana.how/edge/internal/appdata"
)

// appsOfFamily are those whose back ends the replaced service knew by variables.
var appsOfFamily = []string{"chat", "todo", "contacts", "calendar", "picture", "zitare", "presi", "photos", "clock", "storage"}

var backendID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// backends resolves the back ends of apps: those that are named, and those of the
// family whose variable is set.
func (r *resolver) backends(configs []BackendConfig) (list []appdata.Backend) {
	key := r.env.Get("ADMIN_SERVICE_KEY")
	for _, c := range configs {
		b := appdata.Backend{ID: r.expand("backend", c.ID), URL: r.expand("backend", c.URL), Key: r.expand("backend", c.Key)}
		if b.Key == "" {
			b.Key = key
		}
		switch {
		case !backendID.MatchString(b.ID):
			r.fault("backend", "an id has lower-case letters, digits and hyphens, up to 32")
		case slices.ContainsFunc(list, func(other appdata.Backend) bool { return other.ID == b.ID }):
			r.fault("backend", "%s is there twice", b.ID)
		case !isHTTP(b.URL):
			r.fault("backend", "%s: the address is not an http or https URL", b.ID)
		}
		list = append(list, b)
	}
	for _, id := range appsOfFamily {
		variable := strings.ToUpper(id) + "_BACKEND_URL"
		address := r.env.Get(variable)
		if address == "" || slices.ContainsFunc(list, func(b appdata.Backend) bool { return b.ID == id }) {
			continue
		}
		if !isHTTP(address) {
			r.fault("backend", "%s (from %s): the address is not an http or https URL", id, variable)
		}
		list = append(list, appdata.Backend{ID: id, URL: address, Key: key})
	}
	return list
}

func isHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// maxBlocklist bounds a list of refused passwords, in bytes.
const maxBlocklist = 64 << 20

// passwords resolves which new passwords are refused. The text of a list is part
// of the key of the settings, so that a changed list is taken up by a reload.
func (r *resolver) passwords(raw string) (policy password.Policy, list string) {
	switch name := r.expand("password_blocklist", raw); name {
	case "", "common":
		return password.Policy{}, "common"
	case "off":
		return password.AnyPassword(), "off"
	default:
		info, err := os.Stat(name)
		if err == nil && info.Size() > maxBlocklist {
			r.fault("password_blocklist", "%s is larger than %d MB", name, maxBlocklist>>20)
			return password.Policy{}, ""
		}
		text, err := os.ReadFile(name)
		if err != nil {
			r.fault("password_blocklist", "is common, off or a file: %w", err)
			return password.Policy{}, ""
		}
		return password.Refusing(string(text)), string(text)
	}
}

// breached opens the directory of breached passwords and has the policy refuse
// those.
func (r *resolver) breached(raw string, policy *password.Policy) (dir string) {
	dir = r.expand("breached_passwords", raw)
	if dir == "" {
		return ""
	}
	found, err := password.OpenBreached(dir)
	if err != nil {
		r.fault("breached_passwords", "%w", err)
		return ""
	}
	*policy = policy.RefusingBreached(found)
	return dir
}
