package importer

import (
	"strings"

	"mana.how/edge/authcore"
)

// clients are those of the OpenID provider. Their secrets are hashed on the way.
var clients = table{
	name: "auth.oauth_applications", key: "id", from: "auth.oauth_applications", fromKey: "id",
	columns: []string{"name", "icon", "metadata", "client_id", "client_secret", "redirect_urls", "type", "disabled", "user_id", "created_at", "public"},
	watched: []string{"name", "client_id", "client_secret", "redirect_urls", "disabled", "trusted", "scopes", "grant_types"},
	gone:    deleted,
	make: func(r *run, t *tally, in sourceRow) []row {
		out := in.row.only("id", "name", "icon", "metadata", "client_id", "redirect_urls", "type", "disabled", "user_id", "created_at")
		secret := in.row.text("client_secret")
		out["public"] = secret == "" || oneOf(in.row.text("type"), "public", "native", "user-agent-based")
		out["client_secret"] = secret
		if secret != "" && !strings.HasPrefix(secret, "sha256:") {
			out["client_secret"] = authcore.StoredToken(secret)
		}
		if id := in.row.text("user_id"); id != "" && !r.people[id] {
			t.mend(in.id, "user_id: its user was not carried over; the client belongs to nobody")
			out["user_id"] = nil
		}
		var redirects []string
		for uri := range strings.SplitSeq(in.row.text("redirect_urls"), ",") {
			if uri = strings.TrimSpace(uri); uri != "" {
				redirects = append(redirects, uri)
			}
		}
		out["redirect_urls"] = strings.Join(redirects, ",")
		return []row{out}
	},
}

// consents are one for each user and client: the last that was given.
var consents = table{
	name: "auth.oauth_consents", key: "id",
	query: `
		SELECT to_jsonb(t) || jsonb_build_object('nth', row_number() OVER (PARTITION BY t.user_id, t.client_id
			ORDER BY coalesce(to_jsonb(t) ->> 'consent_given', 'true') DESC, t.updated_at DESC, t.id))
		FROM auth.oauth_consents AS t ORDER BY t.id::text COLLATE "C"`,
	columns: []string{"user_id", "client_id", "scopes", "consent_given", "created_at", "updated_at"},
	watched: []string{"scopes", "consent_given"},
	gone:    deleted,
	make: func(r *run, t *tally, in sourceRow) []row {
		given, told := in.row["consent_given"].(bool)
		switch {
		case !r.owned(t, in, "user_id"):
			return nil
		case told && !given:
			t.refuse(in.id, "it was not given")
			return nil
		case in.row.number("nth") > 1:
			t.refuse(in.id, "there is a newer one")
			return nil
		}
		return []row{in.row.only("id", "user_id", "client_id", "scopes", "created_at", "updated_at").with("consent_given", true)}
	},
}
