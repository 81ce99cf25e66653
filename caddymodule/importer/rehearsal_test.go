package importer_test

import (
	"context"
	_ "embed"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/importer"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

var (
	//go:embed testdata/schema.sql
	oldSchema string
	//go:embed testdata/people.sql
	oldPeople string
)

const oldSecret = "the secret of the replaced service"

// people is how many there are: all of them with MANA_SOAK.
func people() int {
	if os.Getenv("MANA_SOAK") != "" {
		return 100_000
	}
	return 2000
}

// oldDatabase is a database of the replaced service with so many people, and the key
// that it signs with.
func oldDatabase(t *testing.T, n int) (db *pgtest.Database, key token.Key) {
	t.Helper()
	return edgetest.OldDatabase(t, oldSchema, oldPeople, oldSecret, n)
}

func secrets(t *testing.T) secret.Keys {
	t.Helper()
	keys, err := secret.New(strings.Repeat("encryption key ", 3), oldSecret)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func carryOver(t *testing.T, from, to *pgtest.Database, more ...func(*importer.Options)) importer.Report {
	t.Helper()
	o := importer.Options{From: from.DSN, Pool: to.Pool, Secrets: secrets(t)}
	for _, f := range more {
		f(&o)
	}
	report, err := importer.Import(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// identity is the identity core on what was imported.
func identity(t *testing.T, db *pgtest.Database) *authcore.Service {
	t.Helper()
	s, err := authcore.New(t.Context(), authcore.Config{BaseURL: "https://auth.example.com", CookieDomain: ".example.com", Secrets: secrets(t)},
		authcore.Deps{Pool: db.Pool, ListenDSN: db.DSN})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// wantSound audits ledger and gifts.
func wantSound(t *testing.T, db *pgtest.Database) creditcore.Report {
	t.Helper()
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	report, err := ledger.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	breaches, err := gift.New(gift.Config{BaseURL: "https://auth.example.com"}, gift.Deps{Pool: db.Pool, Ledger: ledger}).Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range append(report.Breaches, breaches...) {
		if i < 20 {
			t.Errorf("%s: %s: %s", b.Invariant, b.UserID, b.Detail)
		}
	}
	walked, err := proof.New(proof.Deps{Pool: db.Pool}).Verify(t.Context(), proof.Scope{}, func(b proof.Breach) error {
		t.Errorf("the chain: %+v", b)
		return nil
	})
	if err != nil || walked.Rows != report.Entries || walked.Unchained > 0 {
		t.Errorf("chained: %+v of %d rows, %v", walked, report.Entries, err)
	}
	return report
}

// value is a text of one row here.
func value(t *testing.T, db *pgtest.Database, sql string, args ...any) string {
	t.Helper()
	r, err := dbscope.Row[struct{ Text string }](t.Context(), db.Pool, dbscope.System(), `SELECT (`+sql+`)::text AS text`, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return r.Text
}

// The move of the service, twice interrupted: by its end and by a kill.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	n := people()
	from, key := oldDatabase(t, n)
	to := pgtest.New(t)

	planned := carryOver(t, from, to, func(o *importer.Options) { o.DryRun = true })
	if got := value(t, to, `SELECT (SELECT count(*) FROM auth.users) + (SELECT count(*) FROM mana.imported) + (SELECT count(*) FROM credits.balances)`); got != "0" {
		t.Fatalf("a dry run left %s rows", got)
	}

	// The first import is stopped when sessions come.
	ctx, stop := context.WithCancel(t.Context())
	_, err := importer.Import(ctx, importer.Options{From: from.DSN, Pool: to.Pool, Secrets: secrets(t), Step: func(table string) {
		if table == "auth.sessions" {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped: %v", err)
	}
	killAmongAccounts(t, from, to)

	done := carryOver(t, from, to)
	created := func(r importer.Report) map[string]int {
		m := make(map[string]int)
		for _, c := range r.Tables {
			m[c.Table] = c.Created + c.Unchanged
		}
		return m
	}
	if diff := cmp.Diff(created(planned), created(done)); diff != "" {
		t.Errorf("carried over (-planned +done)\n%s", diff)
	}
	if diff := cmp.Diff(planned.Refused, done.Refused); diff != "" {
		t.Errorf("refused (-planned +done)\n%s", diff)
	}
	again := carryOver(t, from, to)
	for _, c := range again.Tables {
		if c.Created+c.Updated+c.Removed+c.Kept != 0 {
			t.Errorf("the second run changed %+v", c)
		}
	}
	report := wantSound(t, to)
	t.Logf("%d accounts with %d entries", report.Accounts, report.Entries)
	for _, c := range done.Tables {
		t.Logf("%+v", c)
	}
	if report.Accounts != int64(n) {
		t.Errorf("%d accounts of %d people", report.Accounts, n)
	}
	wantSignedIn(t, to, key)
	wantCredits(t, to)
	wantMended(t, planned)
	wantSound(t, to)
}

// killAmongAccounts starts an import as a process, and kills it when it has carried some
// accounts over.
func killAmongAccounts(t *testing.T, from, to *pgtest.Database) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), program)
	child.Env = append(os.Environ(), "TEST_IMPORT_FROM="+from.DSN, "TEST_IMPORT_TO="+to.DSN)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for value(t, to, `SELECT count(*) > 100 FROM credits.balances`) == "false" {
		time.Sleep(5 * time.Millisecond)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Error("the import was done before it was killed")
	}
	if value(t, to, `SELECT count(*) FROM gifts.gift_codes`) != "0" {
		t.Error("the import had come to the gifts when it was killed")
	}
}

// wantSignedIn shows that nobody has to sign in again.
func wantSignedIn(t *testing.T, db *pgtest.Database, key token.Key) {
	t.Helper()
	s := identity(t, db)
	ctx := t.Context()
	user := func(i string) string { return value(t, db, `SELECT md5('user' || $1)`, i) }

	// A browser, by the cookie of old.
	cookie := edgetest.OldCookie(oldSecret, value(t, db, `SELECT md5('cookie14')`))
	browser, err := s.BrowserSession(ctx, []string{cookie})
	if err != nil || browser.UserID() != user("14") {
		t.Fatalf("the cookie: %v", err)
	}
	// An app that came by the browser, and one that has refreshed.
	for i, sql := range map[string]string{
		"14": `SELECT md5('refresh14') || md5('token14')`,
		"15": `SELECT md5('again15') || md5('token15')`,
	} {
		old := value(t, db, sql)
		tokens, err := s.Refresh(ctx, principal.Client{}, old)
		if err != nil || tokens.User.ID != user(i) {
			t.Fatalf("the refresh token of %s: %v", i, err)
		}
		twin, err := s.Refresh(ctx, principal.Client{}, old)
		if err != nil || twin.RefreshToken != tokens.RefreshToken {
			t.Errorf("its twin: %v", err)
		}
		if _, err := s.Refresh(ctx, principal.Client{}, tokens.RefreshToken); err != nil {
			t.Errorf("its successor: %v", err)
		}
		// Another app with the same token learns that it is over, and harms nobody.
		if _, err := s.Refresh(ctx, principal.Client{}, old); !errors.Is(err, authcore.ErrInvalidRefreshToken) || errors.Is(err, authcore.ErrRefreshReused) {
			t.Errorf("the token once more: %v", err)
		}
		if value(t, db, `SELECT count(*) FROM auth.refresh_families WHERE user_id = $1 AND revoked_at IS NOT NULL`, user(i)) != "0" {
			t.Errorf("the family of %s has ended", i)
		}
	}
	// An access token of old, without a session, an epoch or a time of issue.
	now := time.Now()
	claims := token.Claims{Subject: user("1"), Email: "person1@example.com", Role: principal.RoleUser, Issuer: "https://auth.example.com", Audience: "manacore", Expires: now.Add(15 * time.Minute)}
	access, err := token.Sign(key, claims)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Verify(ctx, access); err != nil || got.Subject != user("1") {
		t.Errorf("the access token: %v", err)
	}
	// A back end with an API key.
	apiKey, err := s.AuthenticateKey(ctx, "sk_live_"+value(t, db, `SELECT md5('secret1')`), netip.MustParseAddr("192.0.2.1"))
	if err != nil || apiKey.UserID() != user("1") {
		t.Errorf("the API key: %v", err)
	}
	// Passwords, the roles that come with them, and the language.
	tokens, err := s.SignIn(ctx, principal.Client{}, "person1@example.com", "Passw0rd!")
	if err != nil || tokens.User.Role != principal.RoleAdmin {
		t.Errorf("the password: %v", err)
	}
	if value(t, db, `SELECT global_settings ->> 'locale' FROM auth.user_settings WHERE user_id = $1`, user("14")) != "en" {
		t.Error("the language is lost")
	}
	// The one who signs out is out in the app as well.
	if err := s.SignOut(ctx, principal.Client{}, authcore.SignOut{RefreshToken: value(t, db, `SELECT md5('refresh16') || md5('token16')`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BrowserSession(ctx, []string{edgetest.OldCookie(oldSecret, value(t, db, `SELECT md5('cookie16')`))}); !errors.Is(err, authcore.ErrNoSession) {
		t.Errorf("signed out by an imported refresh token: %v", err)
	}
	if value(t, db, `SELECT count(*) FROM auth.sessions WHERE token NOT LIKE 'sha256:%' AND token NOT LIKE 'id:%' OR refresh_token NOT LIKE 'sha256:%'`) != "0" {
		t.Error("tokens are stored in clear")
	}
}

// wantCredits looks at the balances of people whose ledger was odd.
func wantCredits(t *testing.T, db *pgtest.Database) {
	t.Helper()
	for i, want := range map[string]string{
		"1":  "93000 0", // bought
		"2":  "13000 0", // was given
		"21": "130000 0", "22": "2000 0", "23": "0 5000", "24": "13000 0", "25": "13000 0", "27": "13000 0", "28": "12980 0", "29": "13000 0", "30": "13000 0",
		"32": "3000 0", "11": "93000 0",
	} {
		if got := value(t, db, `SELECT balance || ' ' || debt FROM credits.balances WHERE user_id = md5('user' || $1)`, i); got != want {
			t.Errorf("person %s has %s, want %s", i, got, want)
		}
	}
	for i, want := range map[string]string{"31": "active", "32": "active", "33": "depleted", "34": "active", "35": "refunded", "37": "cancelled", "38": "cancelled"} {
		if got := value(t, db, `SELECT status FROM gifts.gift_codes WHERE creator_id = md5('user' || $1)`, i); got != want {
			t.Errorf("the gift of person %s is %s, want %s", i, got, want)
		}
	}
	// What nobody claimed comes back.
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	gifts := gift.New(gift.Config{BaseURL: "https://auth.example.com"}, gift.Deps{Pool: db.Pool, Ledger: ledger})
	ctx, stop := context.WithCancel(t.Context())
	expiry := make(chan error)
	go func() { expiry <- gifts.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); value(t, db, `SELECT balance FROM credits.balances WHERE user_id = md5('user34')`) != "13000"; {
		if time.Now().After(deadline) {
			t.Error("what nobody claimed of an expired gift did not come back")
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	<-expiry
}

// wantMended looks for what must have been told.
func wantMended(t *testing.T, r importer.Report) {
	t.Helper()
	told := func(notes []importer.Note, table, text string) bool {
		for _, n := range notes {
			if n.Table == table && strings.Contains(n.Reason, text) && n.ID != "" {
				return true
			}
		}
		return false
	}
	for _, want := range [][2]string{
		{"auth.users", "in another spelling"}, {"auth.users", "must be an email; it was kept"}, {"auth.users", "canonical form"}, {"auth.users", "moderator"},
		{"auth.accounts", "must reset it"}, {"auth.members", "boss"}, {"credits.balances", "opening entry of 37"}, {"credits.balances", "entry of -11"},
		{"credits.balances", "debt of 5"}, {"credits.balances", "was missing"}, {"credits.balances", "12.9799 was rounded"}, {"credits.balances", "referral"},
		{"credits.balances", "is pending"}, {"credits.purchases", "completed_at"}, {"gifts.gift_codes", "expired"}, {"gifts.gift_codes", "without a reservation"},
		{"subscriptions.subscriptions", "surplus"},
	} {
		if !told(r.Mended, want[0], want[1]) {
			t.Errorf("the report does not say that %s was mended: %s", want[0], want[1])
		}
	}
	for _, want := range [][2]string{{"auth.accounts", "newer password"}, {"auth.members", "nobody was not carried over"}, {"auth.members", "already"}} {
		if !told(r.Refused, want[0], want[1]) {
			t.Errorf("the report does not say that %s was refused: %s", want[0], want[1])
		}
	}
}
