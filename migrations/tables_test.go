package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// table says how one user's row comes into being, so that every table can be
// attacked in the same way.
type table struct {
	name   string
	key    string // column that names a row
	insert string // makes the row of user $1
	reads  bool   // a user reads their own
	admin  bool   // a platform admin reads everyone's
	rules  bool   // and may write it
	open   bool   // anybody may add a row
}

// tables is every table of our schemas, parents first.
var tables = slices.Concat(identityTables, creditTables, giftTables, purchaseTables, subscriptionTables)

// identityTables is every table of the schemas mana and auth.
var identityTables = []table{
	{name: "mana.schema_migrations", key: "version"},
	{name: "mana.data_steps", key: "name",
		insert: `INSERT INTO mana.data_steps (name) VALUES ('step-' || $1)`},
	{name: "mana.function_sets", key: "schema"},
	{name: "mana.schema_functions", key: "name"},
	{name: "mana.imported", key: "id",
		insert: `INSERT INTO mana.imported (kind, id, source, written) VALUES ('auth.users', $1, 'digest', 'mark')`},
	{name: "mana.outbox", key: "id",
		insert: `INSERT INTO mana.outbox (id, channel, kind, user_id, body, give_up_at) VALUES ('message-' || $1, 'mail', 'magic_link', $1, 'sealed', now())`},
	{name: "mana.webhook_events", key: "id",
		insert: `INSERT INTO mana.webhook_events (id, type, subject, data) VALUES ('event-' || $1, 'user.created', $1, '{}')`},
	{name: "auth.users", key: "id", reads: true, admin: true,
		insert: `INSERT INTO auth.users (id, name, email) VALUES ($1, $1, $1 || '@example.com')`},
	{name: "auth.user_words", key: "word"}, // written by a trigger of the users, see TestUserWords
	{name: "auth.accounts", key: "id",
		insert: `INSERT INTO auth.accounts (id, account_id, provider_id, user_id) VALUES ('account-' || $1, $1, 'credential', $1)`},
	{name: "auth.verification", key: "id",
		insert: `INSERT INTO auth.verification (id, identifier, value, expires_at) VALUES ('verification-' || $1, $1, $1, now())`},
	{name: "auth.passwords", key: "user_id",
		insert: `INSERT INTO auth.passwords (user_id, hashed_password) VALUES ($1, 'hash')`},
	{name: "auth.two_factor_auth", key: "user_id",
		insert: `INSERT INTO auth.two_factor_auth (user_id, secret) VALUES ($1, 'secret')`},
	{name: "auth.security_events", key: "id", reads: true,
		insert: `INSERT INTO auth.security_events (user_id, event_type) VALUES ($1, 'login_success')`},
	{name: "auth.user_settings", key: "user_id", reads: true,
		insert: `INSERT INTO auth.user_settings (user_id) VALUES ($1)`},
	{name: "auth.organizations", key: "id", reads: true, admin: true, open: true,
		insert: `INSERT INTO auth.organizations (id, name, slug) VALUES ('org-' || $1, $1, $1)`},
	{name: "auth.members", key: "id", reads: true, admin: true, rules: true,
		insert: `INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('member-' || $1, 'org-' || $1, $1, 'owner')`},
	{name: "auth.invitations", key: "id", reads: true, admin: true, rules: true,
		insert: `INSERT INTO auth.invitations (id, organization_id, email, role, expires_at, inviter_id)
			VALUES ('invitation-' || $1, 'org-' || $1, 'guest-of-' || $1 || '@example.com', 'member', now(), $1)`},
	{name: "auth.sessions", key: "id", reads: true, admin: true,
		insert: `INSERT INTO auth.sessions (id, token, user_id, expires_at) VALUES ('session-' || $1, $1, $1, now())`},
	{name: "auth.lockouts", key: "subject",
		insert: `INSERT INTO auth.lockouts (subject) VALUES ($1)`},
	{name: "auth.challenges", key: "id",
		insert: `INSERT INTO auth.challenges (id, purpose, digest, user_id, address, expires_at)
			VALUES ('challenge-' || $1, 'verify_email', sha256($1::bytea), $1, $1, now())`},
	{name: "auth.passkeys", key: "id", reads: true,
		insert: `INSERT INTO auth.passkeys (id, user_id, credential_id, public_key, sign_count, name, device_type, backed_up, aaguid)
			VALUES ('passkey-' || $1, $1, sha256($1::bytea), 'key', 0, 'Passkey', 'singleDevice', false, gen_random_uuid())`},
	{name: "auth.passkey_challenges", key: "digest",
		insert: `INSERT INTO auth.passkey_challenges (digest, expires_at) VALUES (sha256($1::text::bytea), now())`},
	{name: "auth.proofs_of_work", key: "digest",
		insert: `INSERT INTO auth.proofs_of_work (digest, expires_at) VALUES (sha256($1::text::bytea), now())`},
	{name: "auth.provider_flows", key: "digest",
		insert: `INSERT INTO auth.provider_flows (digest, binding, purpose, provider_id, user_id, expires_at)
			VALUES (sha256($1::text::bytea), sha256($1::text::bytea), 'link', 'google', $1, now())`},
	{name: "auth.refresh_families", key: "id",
		insert: `INSERT INTO auth.refresh_families (id, session_id, user_id, expires_at) VALUES ('family-' || $1, 'session-' || $1, $1, now())`},
	{name: "auth.revocations", key: "id",
		insert: `INSERT INTO auth.revocations (user_id, session_id, reason) VALUES ($1, 'session-' || $1, 'sign_out')`},
	{name: "auth.jwks", key: "id",
		insert: `INSERT INTO auth.jwks (id, public_key, private_key) VALUES ('key-' || $1, '{}', '""')`},
	{name: "auth.proof_keys", key: "id",
		insert: `INSERT INTO auth.proof_keys (id, public_key, private_key) VALUES ('key-' || $1, '{}', '""')`},
	{name: "auth.oauth_applications", key: "id",
		insert: `INSERT INTO auth.oauth_applications (id, name, client_id, client_secret, redirect_urls, user_id) VALUES ('client-' || $1, $1, $1, 's', '', $1)`},
	{name: "auth.oauth_access_tokens", key: "id",
		insert: `INSERT INTO auth.oauth_access_tokens (id, access_token, access_token_expires_at, client_id, user_id, scopes) VALUES ('token-' || $1, $1, now(), 'c', $1, '')`},
	{name: "auth.oauth_authorization_codes", key: "id",
		insert: `INSERT INTO auth.oauth_authorization_codes (id, code, client_id, user_id, scopes, redirect_uri, expires_at, session_id) VALUES ('code-' || $1, $1, 'c', $1, '', '', now(), 'session-' || $1)`},
	{name: "auth.oauth_device_codes", key: "id",
		insert: `INSERT INTO auth.oauth_device_codes (id, device_digest, user_code_digest, client_id, scopes, interval_seconds, user_id, expires_at) VALUES ('device-' || $1, $1, $1, 'c', '', 5, $1, now())`},
	{name: "auth.oauth_logouts", key: "session_id",
		insert: `INSERT INTO auth.oauth_logouts (session_id, client_id, user_id) VALUES ('session-' || $1, 'c', $1)`},
	{name: "auth.oauth_consents", key: "id",
		insert: `INSERT INTO auth.oauth_consents (id, user_id, client_id, scopes) VALUES ('consent-' || $1, $1, 'c', '')`},
	{name: "auth.api_keys", key: "id", reads: true,
		insert: `INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash) VALUES ('key-' || $1, $1, $1, 'sk_live_', $1)`},
	{name: "auth.matrix_user_links", key: "id", reads: true,
		insert: `INSERT INTO auth.matrix_user_links (id, matrix_user_id, user_id) VALUES ('link-' || $1, '@' || $1 || ':matrix', $1)`},
	{name: "mana.webhook_endpoints", key: "id",
		insert: `INSERT INTO mana.webhook_endpoints (id, url, secret) VALUES ('endpoint-' || $1, 'https://example.com/', 'sealed')`},
	{name: "mana.webhook_deliveries", key: "event_id",
		insert: `INSERT INTO mana.webhook_deliveries (endpoint_id, event_id, sequence, message_id) VALUES ('endpoint-' || $1, 'event-' || $1, 1, 'message-' || $1)`},
}

// peopled is a database with a row of alice and one of bob in every table;
// keys holds the key of each by user and table.
func peopled(t *testing.T) (db *pgtest.Database, keys map[string]map[string]string) {
	t.Helper()
	db, keys = peopledIn(t, tables)
	execAll(t, connect(t, db.AdminDSN()), `SET ROLE mana_owner`,
		`INSERT INTO mana.function_sets (schema) VALUES ('mana_functions_of_another')`,
		`INSERT INTO mana.schema_functions (name, checksum) VALUES ('credits.one', ''), ('credits.two', '')`)
	return db, keys
}

// peopledIn is peopled with rows in these tables only.
func peopledIn(t *testing.T, tables []table) (db *pgtest.Database, keys map[string]map[string]string) {
	t.Helper()
	db = pgtest.New(t)
	keys = map[string]map[string]string{}
	for _, user := range []string{"alice", "bob"} {
		keys[user] = map[string]string{}
		for _, tab := range tables {
			if tab.insert == "" {
				continue
			}
			row, err := dbscope.Row[struct{ Key string }](t.Context(), db.Pool, dbscope.System(),
				tab.insert+` RETURNING `+tab.key+`::text AS key`, user)
			if err != nil {
				t.Fatalf("%s of %s: %v", tab.name, user, err)
			}
			keys[user][tab.name] = row.Key
		}
	}
	return db, keys
}

// denied reports a refusal by privileges or by a policy's WITH CHECK.
func denied(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

// constraint reports an integrity constraint violation (SQLSTATE class 23).
func constraint(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Code, "23")
}

// count returns how many rows of a relation show; none where it is refused.
func count(ctx context.Context, db *pgtest.Database, s dbscope.Scope, relation string) (int64, error) {
	row, err := dbscope.Row[struct{ N int64 }](ctx, db.Pool, s, `SELECT count(*) AS n FROM `+relation)
	if denied(err) {
		return 0, nil
	}
	return row.N, err
}

func relations(t *testing.T, db *pgtest.Database, kinds string) []string {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `
		SELECT n.nspname || '.' || c.relname
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind = ANY (string_to_array($1, NULL)::"char"[])
		ORDER BY 1`, kinds)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func where(tab table, key string) string {
	return fmt.Sprintf(` WHERE %s::text = '%s'`, tab.key, key)
}

func visible(t *testing.T, db *pgtest.Database, s dbscope.Scope, tab table, key string, want bool) {
	t.Helper()
	if n, err := count(t.Context(), db, s, tab.name+where(tab, key)); err != nil || (n == 1) != want {
		t.Errorf("row %s: visible %t (want %t), %v", key, n == 1, want, err)
	}
}

// version changes with every write to the row, and fails where it is gone.
func version(t *testing.T, db *pgtest.Database, tab table, key string) string {
	t.Helper()
	row, err := dbscope.Row[struct{ Version string }](t.Context(), db.Pool, dbscope.System(),
		`SELECT xmin::text AS version FROM `+tab.name+where(tab, key))
	if err != nil {
		t.Fatal(err)
	}
	return row.Version
}

func columns(t *testing.T, db *pgtest.Database, relation string) []string {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `
		SELECT attname::text FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = ''`, relation)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		t.Fatalf("columns of %s: %v, %v", relation, names, err)
	}
	return names
}

// harmless runs a statement that must be refused or find no row.
func harmless(t *testing.T, db *pgtest.Database, s dbscope.Scope, sql string) {
	t.Helper()
	if n, err := dbscope.Exec(t.Context(), db.Pool, s, sql); n != 0 || err != nil && !denied(err) {
		t.Errorf("%s: %d rows, %v", sql, n, err)
	}
}

// inVain runs a statement for its effect on other people's rows. What it does
// to her own row may break a constraint.
func inVain(t *testing.T, db *pgtest.Database, s dbscope.Scope, sql string) {
	t.Helper()
	if n, err := dbscope.Exec(t.Context(), db.Pool, s, sql); n > 1 || err != nil && !denied(err) && !constraint(err) {
		t.Errorf("%s: %d rows, %v", sql, n, err)
	}
}

// sweep deletes all that s may, looks whether the row of key is still there,
// and undoes it.
func sweep(t *testing.T, db *pgtest.Database, s dbscope.Scope, tab table, key string) {
	t.Helper()
	undo := errors.New("undo")
	err := dbscope.InTx(t.Context(), db.Pool, s, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `DELETE FROM `+tab.name); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE mana_system`); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM `+tab.name+where(tab, key)).Scan(&n); err != nil {
			return err
		}
		if n != 1 {
			t.Errorf("bob's row went with alice's DELETE")
		}
		return undo
	})
	if !errors.Is(err, undo) && !denied(err) {
		t.Errorf("delete all: %v", err)
	}
}
