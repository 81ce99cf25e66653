package config

import (
	"regexp"
	"slices"
	"strings"

	"mana.how/edge/authcore/servicekey"
)

// keyName is an appId that a key may be for.
var keyName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// serviceKeys resolves the keys that have a name. all is the one that may do
// everything.
func (r *resolver) serviceKeys(configs []ServiceKeyConfig, all Secret) (list servicekey.Set) {
	for _, c := range configs {
		name, secret := r.expand("service_key", c.Name), r.expand("service_key", c.Key)
		if !keyName.MatchString(name) {
			// The name may be a secret: who forgets it writes the key in its place.
			r.fault("service_key", "a name has lower-case letters, digits and hyphens, up to 64, and stands before the key")
			continue
		}
		var scopes []servicekey.Scope
		for _, raw := range c.Scopes {
			scope := servicekey.Scope(r.expand("service_key", raw))
			if !scope.Valid() {
				r.fault("service_key", "%s: a scope is none of %s", name, scopeList())
				continue
			}
			scopes = append(scopes, scope)
		}
		key := servicekey.Named(name, secret, scopes...)
		same := func(other servicekey.Key) bool { return key.Same(other) }
		switch {
		case secret == "":
			r.fault("service_key", "%s: the key is empty", name)
		case len(c.Scopes) == 0:
			r.fault("service_key", "%s: needs one scope or more of %s", name, scopeList())
		case slices.ContainsFunc(list, func(other servicekey.Key) bool { return other.Name == name }):
			r.fault("service_key", "%s is there twice", name)
		case slices.ContainsFunc(list, same), all.Equal(secret):
			r.fault("service_key", "%s: another back end has the same key", name)
		}
		list = append(list, key)
	}
	return list
}

func scopeList() string {
	names := make([]string, len(servicekey.Scopes))
	for i, s := range servicekey.Scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
