package proof_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/dbscope"
)

// Of several edges one makes the root of a day, once, and each follows the one before.
func TestRootIsMadeOnce(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	if _, made, err := b.MakeRoot(t.Context(), someDay); err != nil || made {
		t.Errorf("of a ledger without rows: made %t, %v", made, err)
	}
	for i := range 5 {
		b.user(fmt.Sprintf("user-%d", i), i)
	}
	var edges sync.WaitGroup
	var made atomic.Int32
	for range 6 {
		edges.Go(func() {
			_, now, err := b.MakeRoot(t.Context(), someDay)
			if err != nil {
				t.Error(err)
			}
			if now {
				made.Add(1)
			}
		})
	}
	edges.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
	b.spend("user-2", 1)
	second := b.root(someDay.AddDate(0, 0, 3))
	if _, now, err := b.MakeRoot(t.Context(), someDay.AddDate(0, 0, 2)); err != nil || now {
		t.Errorf("a root of a day before the last one: %t, %v", now, err)
	}
	roots, err := b.Roots(t.Context(), second.Day, 10)
	if err != nil || len(roots) != 1 || !roots[0].Day.Equal(someDay) || roots[0].Accounts != 5 {
		t.Fatalf("%+v, %v", roots, err)
	}
	payload, err := b.notary.OpenProof(t.Context(), proof.RootType, second.Statement)
	var said proof.RootStatement
	if err = errors.Join(err, json.Unmarshal(payload, &said)); err != nil {
		t.Fatal(err)
	}
	if said.Root != second.Hash || said.Day != "2026-12-02" || said.Accounts != 5 || said.Previous == nil || said.Previous.Root != roots[0].Hash ||
		said.Previous.Day != "2026-11-29" || said.Issuer != b.notary.Issuer() {
		t.Errorf("stated: %+v", said)
	}
	n, err := dbscope.Row[struct{ N int64 }](t.Context(), b.db.Pool, dbscope.System(), `SELECT count(*) AS n FROM credits.checkpoints`)
	if err != nil || n.N != 6 { // all, and the one that went on
		t.Errorf("%d notes, %v", n.N, err)
	}
}

// Nobody changes roots and notes but a superuser.
func TestRootsAreAppendOnly(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.user("alice", 0)
	b.root(someDay)
	for _, table := range []string{"roots", "checkpoints"} {
		for _, sql := range []string{`UPDATE credits.%s SET day = day`, `DELETE FROM credits.%s`, `TRUNCATE credits.%s`} {
			if _, err := dbscope.Exec(t.Context(), b.db.Pool, dbscope.System(), fmt.Sprintf(sql, table)); err == nil {
				t.Errorf(sql+" is taken", table)
			}
			if _, err := b.db.Pool.Exec(t.Context(), fmt.Sprintf(`SET ROLE mana_owner; SET row_security = off; `+sql, table)); err == nil {
				t.Errorf(sql+" is taken of the owner", table)
			}
		}
	}
}

// Each account of a root leads to it, and what is said of another does not.
func TestInclusion(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	if _, err := b.Include(t.Context(), someDay, "alice"); !errors.Is(err, proof.ErrNoRoot) {
		t.Error(err)
	}
	b.asSuperuser(`INSERT INTO auth.users (id, name, email) SELECT 'u' || i, '', i || '@example.com' FROM generate_series(1, 900) AS i`,
		`INSERT INTO credits.balances (user_id, balance, total_earned, sequence) SELECT id, 1, 1, 1 FROM auth.users`)
	if _, err := dbscope.Exec(t.Context(), b.db.Pool, dbscope.System(),
		`INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description)
		 SELECT user_id || '-1', user_id, 1, 'gift', 1, 0, 1, 'admin', '' FROM credits.balances`); err != nil {
		t.Fatal(err)
	}
	root := b.root(someDay)
	b.user("late", 0)
	if _, err := b.Include(t.Context(), someDay, "late"); !errors.Is(err, proof.ErrNotInRoot) {
		t.Error(err)
	}
	for i := 1; i <= 900; i += 37 {
		account := fmt.Sprintf("u%d", i)
		in, err := b.Include(t.Context(), someDay, account)
		if err != nil || in.Root.Hash != root.Hash || !in.Leads(account) {
			t.Errorf("%s: %+v, %v", account, in, err)
		}
		if in.Leads("u" + account) {
			t.Errorf("%s: leads there from another account", account)
		}
		if in.Sequence++; in.Leads(account) {
			t.Errorf("%s: leads there from another row", account)
		}
	}
}

// A document has the rows of the account and what proves them, and is JSON.
func TestDocument(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.user("alice", 3)
	b.user("bob", 1)
	written := func() (doc struct {
		proof.Document
		Rows []proof.DocumentRow `json:"rows"`
	}) {
		var out bytes.Buffer
		head, err := b.DocumentOf(t.Context(), "alice")
		if err = errors.Join(err, b.Write(t.Context(), &out, head)); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
			t.Fatalf("%v: %.500s", err, out.String())
		}
		return doc
	}
	if doc := written(); doc.Root != nil || doc.Inclusion != nil || len(doc.Rows) != 4 || doc.Rows[3].Sequence != 4 {
		t.Errorf("before a root: %+v, %d rows", doc.Document, len(doc.Rows))
	}
	root := b.root(someDay)
	doc := written()
	if doc.Root == nil || *doc.Root != root.Statement || doc.Inclusion.Sequence != 4 || doc.Inclusion.Hash != *doc.Rows[3].Hash || len(doc.Inclusion.BucketPath) != 8 {
		t.Errorf("%+v", doc.Document)
	}
	if row := doc.Rows[3]; row.Amount != -1500 || *row.Metadata != `{"a": ["x", null], "b": 1.50}` || !strings.HasSuffix(row.CreatedAt, "Z") || len(row.CreatedAt) != 27 {
		t.Errorf("%+v", row)
	}
}
