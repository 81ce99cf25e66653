package doctor_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// The doctor asks the bucket, and says what to do where it refuses.
func TestDoctorOnBuckets(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	bucket := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	empty := `<?xml version="1.0"?><ListBucketResult><Name>pictures</Name><IsTruncated>false</IsTruncated></ListBucketResult>`
	refusal := `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>`
	for name, tt := range map[string]struct{ url, status, want string }{
		"all is well": {bucket(200, empty), "ok", "the bucket pictures answers"},
		"refused":     {bucket(403, refusal), "fail", "see that endpoint, bucket and keys"},
		"away":        {"http://" + freeport.Address(t), "fail", "see that endpoint, bucket and keys"},
	} {
		app := edgetest.With(edgetest.ExternalApp(db), "storage", map[string]any{
			"endpoint": tt.url, "bucket": "pictures", "access_key": "a-key-of-tests", "secret_key": "the-secret-of-tests",
		})
		found, err := edgetest.Findings(t, app)
		f := found["storage"]
		if f.Status != tt.status || !strings.Contains(f.Detail, tt.want) || (err != nil) != (tt.status == "fail") {
			t.Errorf("%s: %+v and %v, want %s with %q", name, f, err, tt.status, tt.want)
		}
		if strings.Contains(f.Detail, "the-secret-of-tests") {
			t.Errorf("%s: the secret is shown: %+v", name, f)
		}
	}
}

// The doctor makes no directory, tries one that is there, and leaves nothing.
func TestDoctorOnDirectories(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	db := pgtest.New(t)
	dir := filepath.Join(os.Getenv("XDG_DATA_HOME"), "caddy", "mana", "files")
	storage := func() (status, detail string) {
		found, _ := edgetest.Findings(t, edgetest.ExternalApp(db))
		return found["storage"].Status, found["storage"].Detail
	}
	if status, detail := storage(); status != "ok" || !strings.Contains(detail, "is made when the first comes") {
		t.Errorf("no directory: %s %s", status, detail)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the doctor made the directory")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, detail := storage(); status != "fail" || !strings.Contains(detail, "let "+dir+" belong to the user of the edge") {
		t.Errorf("a file: %s %s", status, detail)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if status, detail := storage(); status != "ok" || !strings.Contains(detail, "lie in "+dir) {
		t.Errorf("a directory: %s %s", status, detail)
	}
	left := 0
	err := filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			left++
		}
		return err
	})
	if err != nil || left != 0 {
		t.Errorf("%d files are left, %v", left, err)
	}
}
