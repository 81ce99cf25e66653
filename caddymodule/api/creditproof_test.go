package api_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/proof"
)

// Anybody gets the roots and the keys they verify by.
func TestRootRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if got := s.send("GET", "/api/v1/credits/roots", nil).status(200).body; got != `{"roots":[]}` {
		t.Errorf("before there are any: %s", got)
	}
	id, _ := s.member("ada@example.test")
	s.grant(id, 10)
	day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for i := range 2 {
		if _, made, err := s.Proof.MakeRoot(t.Context(), day.AddDate(0, 0, i)); err != nil || !made {
			t.Fatal(made, err)
		}
	}
	var list struct {
		Roots []struct{ Day, Root, Statement string }
	}
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/credits/roots?limit=1", nil).status(200).body), &list); err != nil || len(list.Roots) != 1 || list.Roots[0].Day != "2026-11-29" {
		t.Fatalf("%+v, %v", list, err)
	}
	var one struct{ Day, Root, Statement string }
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/credits/roots/2026-11-29", nil).status(200).body), &one); err != nil || one != list.Roots[0] {
		t.Errorf("%+v, %v", one, err)
	}
	payload, err := s.auth.OpenProof(t.Context(), proof.RootType, one.Statement)
	var said proof.RootStatement
	if err == nil {
		err = json.Unmarshal(payload, &said)
	}
	if err != nil || said.Root.String() != one.Root || said.Issuer != base || said.Previous.Day != "2026-11-28" {
		t.Errorf("%+v, %v", said, err)
	}
	keys := s.send("GET", "/api/v1/credits/jwks", nil).status(200).body
	kid := headerOf(t, one.Statement)["kid"]
	if !strings.Contains(keys, kid) || strings.Contains(keys, `"d":`) {
		t.Errorf("the keys: %s", keys)
	}
	if tokens := s.send("GET", "/api/v1/auth/jwks", nil).status(200).body; strings.Contains(tokens, kid) {
		t.Error("tokens verify by the key of proofs")
	}
	for path, status := range map[string]int{
		"roots/2026-11-27": 404, "roots/today": 400, "roots?limit=0": 400, "roots?limit=401": 400, "roots?before=soon": 400, "roots?before=2026-11-28": 200,
	} {
		s.send("GET", "/api/v1/credits/"+path, nil).status(status)
	}
}

func headerOf(t *testing.T, jws string) (head map[string]string) {
	t.Helper()
	part, _, _ := strings.Cut(jws, ".")
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(raw, &head)
	}
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// What a key of proofs signs is no access token, and the other way round.
func TestProofKeysSignNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.member("ada@example.test")
	access, _ := s.login("ada@example.test")
	if _, err := s.auth.OpenProof(t.Context(), "", access); err == nil {
		t.Error("an access token is a proof")
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	forged, err := s.auth.SignProof("JWT", claims)
	if err != nil {
		t.Fatal(err)
	}
	s.send("GET", "/api/v1/credits/balance", nil, bearer(access)).status(200)
	s.send("GET", "/api/v1/credits/balance", nil, bearer(forged)).status(401)
	if _, err := s.auth.OpenProof(t.Context(), proof.RootType, forged); err == nil {
		t.Error("a statement of another type is a root")
	}
}

// The exported history of a user is verified by a program that has nothing of ours,
// with the receipt of a charge; one that was altered is refused.
func TestExportedHistoryVerifies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, access := s.member("ada@example.test")
	s.grant(id, 100)
	var charged string
	for range 3 {
		r, err := s.Ledger.Debit(t.Context(), creditcore.Debit{UserID: id, Amount: 2500, AppID: "chat", Description: `"ß" \\ ☕`, Metadata: []byte(`{"b": 1.50, "a": []}`)})
		if err != nil {
			t.Fatal(err)
		}
		charged = r.Entry.ID
	}
	others, _ := s.member("bob@example.test")
	s.grant(others, 1)
	root, made, err := s.Proof.MakeRoot(t.Context(), time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))
	if err != nil || !made {
		t.Fatal(made, err)
	}
	s.grant(id, 1)
	receipt, err := s.Proof.SignReceipt(proof.Receipt{RequestID: "r1", UserID: id, Payer: "user", Cost: "2.5", Transactions: []string{charged}, App: "chat"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program := filepath.Join(dir, "verify")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.FromSlash("../../examples/verify")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	verify := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		return string(out), err
	}

	history := s.send("GET", "/api/v1/credits/proof", nil, access).status(200)
	if got := history.header.Get("Content-Disposition"); !strings.Contains(got, "credits-proof-") {
		t.Errorf("Content-Disposition: %s", got)
	}
	export := s.send("GET", "/api/v1/me/data/export", nil, access).status(200)
	keys := s.send("GET", "/api/v1/credits/jwks", nil).status(200)
	for name, doc := range map[string]string{"history.json": history.body, "export.json": export.body} {
		out, err := verify("-keys", file("keys.json", keys.body), "-root", file("root.jws", root.Statement+"\n"), "-receipt", file("receipt.jws", receipt), file(name, doc))
		if err != nil || !strings.Contains(out, "5 rows of account "+id) || !strings.Contains(out, "row 4 and all before it are covered by the root of 2026-11-29") ||
			!strings.Contains(out, "receipt of request r1: 2.5 credits") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	swap := func(old, with string) string {
		if !strings.Contains(history.body, old) {
			t.Fatalf("no %q in %s", old, history.body)
		}
		return strings.Replace(history.body, old, with, 1)
	}
	for name, c := range map[string]struct{ doc, says string }{
		"amount":  {swap(`"amount":-2500,"balanceBefore":100000,"balanceAfter":97500`, `"amount":-2400,"balanceBefore":100000,"balanceAfter":97600`), "row 2"},
		"text":    {swap(`"appId":"chat"`, `"appId":"chess"`), "what it says makes"},
		"number":  {swap(`"sequence":3,`, `"sequence":4,`), "stands where row 3 should"},
		"root":    {swap(root.Statement, root.Statement[:len(root.Statement)-4]+"AAAA"), "root"},
		"account": {swap(`"account": "`+id, `"account": "`+others), "row 1"},
		"path":    {swap(`"bucketPath": [`, `"bucketPath": [ "`+root.Hash.String()+`",`), "path"},
	} {
		out, err := verify(file("altered.json", c.doc))
		if err == nil || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	wrong, err := s.Proof.SignReceipt(proof.Receipt{RequestID: "r2", UserID: id, Payer: "user", Cost: "9", Transactions: []string{charged}})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := verify("-receipt", file("receipt.jws", wrong), file("history.json", history.body)); err == nil || !strings.Contains(out, "it says 9 credits") {
		t.Errorf("a receipt of another cost: %v: %s", err, out)
	}

	// Nobody gets another's.
	s.send("GET", "/api/v1/credits/proof", nil).status(401)
	s.send("GET", "/api/v1/credits/proof?organizationId=acme", nil, access).status(404)
}

// The rows of a closed account stay, and stay proven.
func TestDeletedAccountStaysProven(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, access := s.member("ada@example.test")
	s.grant(id, 10)
	if _, made, err := s.Proof.MakeRoot(t.Context(), time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)); err != nil || !made {
		t.Fatal(made, err)
	}
	s.send("DELETE", "/api/v1/auth/account", map[string]any{"password": testPassword}, access).status(200)
	if _, made, err := s.Proof.MakeRoot(t.Context(), time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)); err != nil || !made {
		t.Fatal(made, err)
	}
	report, err := s.Proof.Verify(t.Context(), proof.Scope{}, func(b proof.Breach) error {
		t.Errorf("%+v", b)
		return nil
	})
	if err != nil || report.Rows != 1 || report.Roots != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	if in, err := s.Proof.Include(t.Context(), time.Time{}, id); err != nil || !in.Leads(id) {
		t.Errorf("%+v, %v", in, err)
	}
}
