package api_test

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/address"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/internal/dbscope"
)

// statements notes what is asked of the database.
type statements struct {
	mu   sync.Mutex
	list map[string][]any // by their text
}

func (s *statements) note(sql string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[sql] = args
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.note(data.SQL, data.Args)
	return ctx
}
func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		s.note(q.SQL, q.Arguments)
	}
	return ctx
}
func (*statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// take is what was noted since the last time.
func (s *statements) take() map[string][]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = map[string][]any{}
	return list
}

// crowd is how many users a site has, ledger rows and security events.
type crowd struct{ users, rows, events int }

// crowded is a site among many users and rows, whose statements are noted.
func crowded(t *testing.T, n crowd) (s *site, asked *statements) {
	t.Helper()
	asked = &statements{list: map[string][]any{}}
	var traced *pgxpool.Pool
	s = newSiteOf(t, billing.Config{BaseURL: base}, func(_ *authcore.Config, d *authcore.Deps) {
		config := d.Pool.Config()
		config.ConnConfig.Tracer = asked
		var err error
		if traced, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
			t.Fatal(err)
		}
		d.Pool = traced
	}, func(_ *api.Config, d *api.Deps) {
		ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: traced})
		scores := abuse.New(abuse.Config{Threshold: 100}, abuse.Deps{Pool: traced})
		cores := &api.Credits{
			Ledger: ledger, Gifts: gift.New(gift.Config{BaseURL: base, Address: address.Canonical}, gift.Deps{Pool: traced, Ledger: ledger, HeldTx: scores.HeldTx}),
			Coupons: coupon.New(coupon.Config{}, coupon.Deps{Pool: traced, Ledger: ledger}),
			Abuse:   scores,
			Billing: billing.New(billing.Config{BaseURL: base}, billing.Deps{Pool: traced, Ledger: ledger}),
		}
		d.Credits = func(context.Context) (*api.Credits, error) { return cores, nil }
	})
	t.Cleanup(traced.Close)
	conn, err := pgx.Connect(t.Context(), s.db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, sql := range []string{
		`INSERT INTO auth.users (id, name, email, created_at)
		 SELECT 'u' || i, 'Person ' || md5(i::text), 'p' || i || '@mail' || i % 50 || '.test', now() - make_interval(mins => i) FROM generate_series(1, $users) AS i`,
		`SET session_replication_role = replica`, // no foreign keys are looked up for each of millions of rows
		`INSERT INTO auth.security_events (user_id, event_type, ip_address, created_at)
		 SELECT 'u' || 1 + i % $users, 'type_' || i % 40, '192.0.' || i % 250 || '.' || i % 199, now() - make_interval(mins => i) FROM generate_series(1, $events) AS i`,
		`SET session_replication_role = origin`,
		`INSERT INTO credits.balances (user_id) SELECT id FROM auth.users ON CONFLICT DO NOTHING`,
		`INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description, created_at)
		 SELECT 't' || i, 'u' || 1 + i % $users, 1 + i / $users, 'bonus', 1, 0, 1, 'x', 'x', now() - make_interval(mins => $rows - i) FROM generate_series(0, $rows - 1) AS i`,
		`INSERT INTO auth.sessions (id, token, user_id, expires_at) SELECT 's' || i, 's' || i, 'u' || i, now() + interval '1 day' FROM generate_series(1, $users) AS i`,
		`INSERT INTO auth.accounts (id, account_id, provider_id, user_id, created_at, updated_at)
		 SELECT 'a' || i, 'u' || i, 'credential', 'u' || i, now(), now() FROM generate_series(1, $users) AS i`,
		`INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash, created_at)
		 SELECT 'k' || i, 'u' || i, 'Key', 'sk_live_', 'h' || i, now() - make_interval(mins => i) FROM generate_series(1, $users) AS i`,
		`INSERT INTO credits.purchases (user_id, credits, price_euro_cents, created_at)
		 SELECT 'u' || i, 1000, 100, now() - make_interval(mins => i) FROM generate_series(1, $users) AS i`,
		`INSERT INTO credits.alerts (account_id, user_id, kind, data, created_at, told_at)
		 SELECT CASE i % 7 WHEN 0 THEN 'org:o' || i ELSE 'u' || i END, CASE WHEN i % 7 = 0 THEN 'u' || i END, (ARRAY['purchased', 'exhausted', 'debt', 'top_up_off'])[1 + i % 4], '{}', now() - make_interval(mins => i), now()
		 FROM generate_series(1, $users) AS i`,
		`INSERT INTO credits.abuse_scores (user_id, score) SELECT 'u' || i, i % 201 FROM generate_series(1, $users) AS i`,
		`INSERT INTO credits.cards (fingerprint, user_id, first_seen_at, last_seen_at)
		 SELECT 'card-' || i / 3, 'u' || i, now() - make_interval(hours => i), now() - make_interval(hours => i) FROM generate_series(1, $users) AS i`,
		`INSERT INTO gifts.gift_codes (id, code, creator_id, total_credits, credits_per_portion, total_portions, claimed_portions, status, created_at)
		 SELECT 'g' || i, translate(upper(substr(md5('salt' || i) || md5(i::text), 1, 2)) || lpad(to_hex(i), 4, 'A'), '0123456789abcdef', 'ABCDEFGHJKLMNPQR'), 'u' || i, 1000, 1000, 1, 1, 'depleted', now() - make_interval(hours => i)
		 FROM generate_series(1, $users) AS i ON CONFLICT (code) DO NOTHING`,
		`INSERT INTO gifts.gift_redemptions (gift_code_id, redeemer_user_id, status, credits_received, portion_number, created_at)
		 SELECT g.id, 'u' || 1 + (random() * ($users - 1))::int, 'success', 1000, 1, g.created_at FROM gifts.gift_codes AS g`,
		`INSERT INTO credits.lots (id, transaction_id, user_id, sequence, source, granted, remaining)
		 SELECT 'l' || i, 't' || i, 'u' || 1 + i, 1, 'gift', 1, 1 FROM generate_series(0, $users - 1) AS i`,
	} {
		sql = strings.NewReplacer("$users", strconv.Itoa(n.users), "$rows", strconv.Itoa(n.rows), "$events", strconv.Itoa(n.events)).Replace(sql)
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if _, err := conn.Exec(t.Context(), `VACUUM (ANALYZE)`); err != nil {
		t.Fatal(err)
	}
	return s, asked
}

// deskPaths are pages of the desk of a crowded site, with what can be asked of them.
var deskPaths = []string{
	"/admin", "/admin/users", "/admin/users?q=person", "/admin/users?q=p777", "/admin/users?q=mail27+p777", "/admin/users?before=1700000000000000.u9", "/admin/users/u5",
	"/admin/ledger", "/admin/ledger/u5", "/admin/ledger/u5?audit=1", "/admin/ledger/u5?before=2", "/admin/gifts", "/admin/gifts?user=u5", "/admin/sales", "/admin/sales?user=u5",
	"/admin/alerts", "/admin/alerts?kind=debt", "/admin/alerts?kind=renewal_failed", "/admin/alerts?user=u5", "/admin/alerts?org=o7", "/admin/alerts?org=o7&user=u7", "/admin/alerts?kind=debt&user=u5",
	"/admin/alerts?before=1700000000000000.x", "/admin/alerts?kind=debt&before=1700000000000000.x",
	"/admin/abuse", "/admin/abuse?before=100.u5", "/admin/abuse/u5", "/admin/api-keys", "/admin/api-keys?user=u5", "/admin/api-keys?before=1700000000000000.k9", "/admin/events", "/admin/events?type=type_7", "/admin/events?type=nothing",
	"/admin/events?user=u5", "/admin/events?ip=192.0.7.7", "/admin/events?ip=203.0.113.1", "/admin/events?type=type_7&ip=192.0.7.7&user=u5", "/admin/events?from=2020-01-01&to=2020-01-02",
	"/admin/events?type=type_7&before=1700000000000000.00000000-0000-4000-8000-000000000000", "/admin/edges", "/admin/search?q=t77", "/admin/search?q=00000000-0000-4000-8000-000000000000",
}

// No page of the desk reads the whole of a table that grows with users: each
// statement is served by an index, so that a page takes as long among millions of
// rows as among thousands.
func TestDeskReadsNoWholeTable(t *testing.T) {
	t.Parallel()
	s, asked := crowded(t, crowd{20_000, 60_000, 60_000})
	inflate(t, s)
	id, _ := s.proven("boss@example.test", "Boss")
	s.exec(`UPDATE auth.users SET role = 'admin' WHERE id = $1`, id)
	boss := s.cookie("boss@example.test")

	whole := regexp.MustCompile(`Seq Scan on (users|security_events|transactions|sessions|api_keys|purchases|lots|balances|user_words|abuse_scores|alerts)\b`)
	explained := 0
	for _, path := range deskPaths {
		asked.take()
		a := s.send("GET", path, nil, boss)
		if path == "/admin" && !strings.Contains(a.body, "Charts are left out") {
			t.Error("a chart of a busy day is not left out")
		}
		if a.code != 200 {
			t.Errorf("%s: status %d; a statement did not come back in time:\n%s", path, a.code, strings.Join(slices.Collect(maps.Keys(asked.take())), "\n"))
			continue
		}
		for sql, args := range asked.take() {
			if !strings.HasPrefix(strings.TrimSpace(sql), "SELECT") && !strings.HasPrefix(strings.TrimSpace(sql), "WITH") || strings.Contains(sql, "set_config") {
				continue
			}
			if strings.Contains(sql, "date_trunc('hour'") { // a chart, which may be left out
				continue
			}
			explained++
			for _, line := range explain(t, s, sql, args) {
				if found := whole.FindString(line); found != "" {
					t.Errorf("%s: %s in\n%s", path, found, sql)
				}
			}
		}
	}
	if explained < 60 {
		t.Errorf("%d statements were explained: nothing is proven", explained)
	}
}

// explain is the plan of a statement, as the system runs it.
func explain(t *testing.T, s *site, sql string, args []any) (lines []string) {
	t.Helper()
	err := dbscope.InTx(t.Context(), s.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		rows, err := tx.Query(t.Context(), "EXPLAIN "+sql, args...)
		if err != nil {
			return err
		}
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		t.Fatalf("explain %s: %v", sql, err)
	}
	return lines
}
