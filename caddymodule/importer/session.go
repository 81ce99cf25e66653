package importer

import (
	"encoding/json"
	"strings"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

// liveSessions reads what somebody can still use: sessions whose cookie lives, and
// those whose refresh token does.
const liveSessions = `
	SELECT to_jsonb(t) || jsonb_build_object('cookie_lives', t.token <> t.id AND t.expires_at > now(), 'refresh_lives', t.refresh_token IS NOT NULL
		AND coalesce(t.refresh_token_expires_at, t.created_at + interval '7 days') > now())
	FROM auth.sessions AS t
	WHERE t.revoked_at IS NULL AND (t.expires_at > now()
		OR t.refresh_token IS NOT NULL AND coalesce(t.refresh_token_expires_at, t.created_at + interval '7 days') > now())
	ORDER BY t.id::text COLLATE "C"`

// sessions become one of the browser where the row has a token that may be in a cookie,
// and one of an app where it has a refresh token; the latter is derived from the former,
// so that both end together.
var sessions = table{
	name: "auth.sessions", key: "id", query: liveSessions,
	columns: []string{
		"token", "user_id", "kind", "parent_id", "persistent", "expires_at", "created_at", "updated_at", "last_activity_at",
		"ip_address", "user_agent", "device_id", "device_name", "refresh_token", "refresh_token_expires_at", "remember_me", "authenticated_at", "amr",
	},
	watched: []string{"token", "user_id", "kind", "parent_id", "expires_at", "revoked_at", "refresh_token"},
	gone:    ended,
	make:    (*run).session,
}

func (r *run) session(t *tally, in sourceRow) (list []row) {
	if !r.owned(t, in, "user_id") {
		return nil
	}
	base := in.row.only("user_id", "created_at", "updated_at", "last_activity_at", "ip_address", "user_agent", "device_id", "device_name")
	if !in.row.has("last_activity_at") {
		base["last_activity_at"] = in.row["updated_at"]
	}
	base["remember_me"] = in.row.is("remember_me")
	base["persistent"] = true
	base["amr"] = string(principal.MethodPassword)
	base["authenticated_at"] = in.row["created_at"]

	app := appSession(in)
	browser := app != in.id
	if browser && in.row.is("cookie_lives") {
		// One that the browser forgets on closing lives a day.
		lives := in.row.time("expires_at").Sub(in.row.time("created_at"))
		list = append(list, base.clone(row{
			"id": in.id, "token": authcore.StoredToken(in.row.text("token")), "kind": string(authcore.WebSession),
			"expires_at": in.row["expires_at"], "persistent": lives > 25*time.Hour,
		}))
	}
	if in.row.is("refresh_lives") {
		out := base.clone(row{
			"id": app, "token": "id:" + app, "kind": string(authcore.AppSession), "expires_at": refreshEnd(in),
			"refresh_token": authcore.StoredToken(in.row.text("refresh_token")), "refresh_token_expires_at": refreshEnd(in),
		})
		if len(list) > 0 {
			out["parent_id"] = in.id
		}
		if !browser {
			// The row was made by a refresh: when its user signed in is not known.
			out["authenticated_at"] = time.Unix(0, 0).UTC().Format(time.RFC3339)
		}
		list = append(list, out)
	}
	return list
}

// clone is a copy of the row with other columns beside.
func (r row) clone(more row) row {
	out := make(row, len(r)+len(more))
	for _, from := range []row{r, more} {
		for column, value := range from {
			out[column] = value
		}
	}
	return out
}

// appSession is the id of the session that the refresh token of a row is for: the row's
// own where it was made by a refresh, whose token is no cookie's.
func appSession(in sourceRow) string {
	if token := in.row.text("token"); token == in.id {
		return in.id
	}
	return digest([]byte("app session of " + in.id))
}

func refreshEnd(in sourceRow) string {
	if in.row.has("refresh_token_expires_at") {
		return in.row.text("refresh_token_expires_at")
	}
	return in.row.time("created_at").Add(7 * 24 * time.Hour).Format(time.RFC3339Nano)
}

// families are the chains that refresh tokens go on in. How old one may become is
// counted from the import on: the replaced service had no bound.
var families = table{
	name: "auth.refresh_families", key: "id", query: liveSessions, fromKey: "id",
	columns: []string{"session_id", "user_id", "expires_at"},
	watched: []string{"session_id", "counter", "expires_at", "revoked_at"},
	make: func(r *run, _ *tally, in sourceRow) []row {
		if !in.row.is("refresh_lives") || !r.people[in.row.text("user_id")] {
			return nil // told of with the session
		}
		app := appSession(in)
		return []row{{
			"id": digest([]byte("refresh family of " + app)), "session_id": app, "user_id": in.row.text("user_id"), "expires_at": refreshEnd(in),
		}}
	},
}

// signingKeys verify what the replaced service signed, and what they sealed is read
// with its secret.
var signingKeys = table{
	name: "auth.jwks", key: "id", from: "auth.jwks", fromKey: "id",
	columns: []string{"public_key", "private_key", "created_at"},
	watched: []string{"public_key", "revoked_at"},
	make: func(r *run, t *tally, in sourceRow) []row {
		out := in.row.only("id", "public_key", "private_key", "created_at")
		var k token.Key
		public, private := in.row.text("public_key"), in.row.text("private_key")
		err := k.Open(r.Secrets, public, private)
		switch {
		case k.Public == nil || k.Algorithm != token.EdDSA:
			t.refuse(in.id, "it is no Ed25519 key")
			return nil
		case err != nil && r.Secrets.Set():
			t.mend(in.id, "it cannot be opened with BETTER_AUTH_SECRET, so it verifies and never signs")
		}
		if !json.Valid([]byte(private)) || !strings.HasPrefix(private, `"`) {
			out["private_key"] = `""`
		}
		return []row{out}
	},
}
