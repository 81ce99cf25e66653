package importer

import (
	"strings"

	"mana.how/edge/authcore/address"
)

var organizations = table{
	name: "auth.organizations", key: "id", from: "auth.organizations", fromKey: "id",
	columns: []string{"name", "slug", "logo", "metadata", "created_at"},
	watched: []string{"name", "slug", "logo", "metadata"},
	make: func(_ *run, _ *tally, in sourceRow) []row {
		return []row{in.row.only("id", "name", "slug", "logo", "metadata", "created_at")}
	},
}

// members are each there once, with the mightiest of their roles. An organisation
// without an owner gets the oldest of its mightiest.
var members = table{
	name: "auth.members", key: "id",
	query: `
		WITH ranked AS (
			SELECT t.*, CASE WHEN u.id IS NULL THEN 3 WHEN t.role = 'owner' THEN 0 WHEN t.role = 'admin' THEN 1 ELSE 2 END AS rank,
			       bool_or(t.role = 'owner' AND u.id IS NOT NULL) OVER (PARTITION BY t.organization_id) AS owned
			FROM auth.members AS t
			LEFT JOIN auth.users AS u ON u.id::text = t.user_id::text
			WHERE u.deleted_at IS NULL
		)
		SELECT to_jsonb(t) || jsonb_build_object(
			'nth', row_number() OVER (PARTITION BY t.organization_id, t.user_id ORDER BY t.rank, t.created_at, t.id),
			'heir', NOT t.owned AND row_number() OVER (PARTITION BY t.organization_id ORDER BY t.rank, t.created_at, t.id) = 1)
		FROM ranked AS t ORDER BY t.id::text COLLATE "C"`,
	columns: []string{"organization_id", "user_id", "role", "created_at"},
	watched: []string{"role"},
	gone:    deleted,
	make: func(r *run, t *tally, in sourceRow) []row {
		if !r.owned(t, in, "user_id") {
			return nil
		}
		if in.row.number("nth") > 1 {
			t.refuse(in.id, "its user is a member by another row already")
			return nil
		}
		out := in.row.only("id", "organization_id", "user_id", "role", "created_at")
		if role := in.row.text("role"); !oneOf(role, "owner", "admin", "member") {
			t.mend(in.id, "role: "+role+" is not known here, and became member")
			out["role"] = "member"
		}
		if in.row.is("heir") {
			t.mend(in.id, "role: the organisation had no owner, and this member became it")
			out["role"] = "owner"
		}
		return []row{out}
	},
}

var invitations = table{
	name: "auth.invitations", key: "id", from: "auth.invitations", fromKey: "id",
	columns: []string{"organization_id", "email", "role", "status", "expires_at", "inviter_id", "created_at"},
	watched: []string{"email", "role", "status", "expires_at"},
	gone:    deleted,
	make: func(r *run, t *tally, in sourceRow) []row {
		out := in.row.only("id", "organization_id", "email", "role", "status", "expires_at", "inviter_id", "created_at")
		out["email"] = address.Lookup(in.row.text("email"))
		if role := in.row.text("role"); !oneOf(role, "owner", "admin", "member") {
			t.mend(in.id, "role: "+role+" is not known here, and became member")
			out["role"] = "member"
		}
		if status := in.row.text("status"); !oneOf(status, "pending", "accepted", "rejected", "canceled") {
			t.mend(in.id, "status: "+status+" is not known here, and became canceled")
			out["status"] = "canceled"
		}
		if !r.people[in.row.text("inviter_id")] {
			out["inviter_id"] = nil
		}
		return []row{out}
	},
}

// apiKeys keep their SHA-256, so that the keys themselves go on working.
var apiKeys = table{
	name: "auth.api_keys", key: "id",
	query: `
		SELECT to_jsonb(t) || jsonb_build_object('nth', row_number() OVER (PARTITION BY t.key_hash ORDER BY t.revoked_at NULLS FIRST, t.created_at, t.id))
		FROM auth.api_keys AS t ORDER BY t.id::text COLLATE "C"`,
	columns: []string{"user_id", "name", "key_prefix", "key_hash", "scopes", "rate_limit_requests", "rate_limit_window", "created_at", "last_used_at", "revoked_at"},
	watched: []string{"name", "key_hash", "scopes", "revoked_at", "expires_at", "allowed_addresses", "budget_credits"},
	gone:    deleted,
	make: func(r *run, t *tally, in sourceRow) []row {
		if !r.owned(t, in, "user_id") {
			return nil
		}
		if in.row.number("nth") > 1 {
			t.refuse(in.id, "another row has the same key")
			return nil
		}
		out := in.row.only("id", "user_id", "name", "key_prefix", "key_hash", "scopes", "rate_limit_requests", "rate_limit_window", "created_at", "last_used_at", "revoked_at")
		out["key_hash"] = strings.ToLower(in.row.text("key_hash"))
		for _, column := range []string{"rate_limit_requests", "rate_limit_window"} {
			if in.row.number(column) < 1 {
				t.mend(in.id, column+": is not positive, and became 60")
				out[column] = 60
			}
		}
		if _, ok := in.row["scopes"].([]any); !ok {
			t.mend(in.id, "scopes: are no list, and were emptied")
			out["scopes"] = []string{}
		}
		return []row{out}
	},
}

// matrixLinks were made by the local part of an address, so they count for no more
// than a claim: whoever signs in to the Matrix server takes theirs over.
var matrixLinks = table{
	name: "auth.matrix_user_links", key: "id", from: "auth.matrix_user_links", fromKey: "id",
	columns: []string{"matrix_user_id", "user_id", "linked_at", "last_used_at", "email", "proof"},
	watched: []string{"matrix_user_id", "user_id", "proof"},
	gone:    deleted,
	make: func(r *run, t *tally, in sourceRow) []row {
		if !r.owned(t, in, "user_id") {
			return nil
		}
		out := in.row.only("id", "matrix_user_id", "user_id", "linked_at", "last_used_at", "email")
		out["proof"] = "claim"
		return []row{out}
	},
}
