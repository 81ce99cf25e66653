package localpg_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
)

// repository answers for the one the library downloads from.
type repository struct {
	archive  []byte
	checksum string
	asked    []string
}

func (r *repository) RoundTrip(req *http.Request) (*http.Response, error) {
	r.asked = append(r.asked, req.URL.String())
	body := r.archive
	if strings.HasSuffix(req.URL.Path, ".sha256") {
		body = []byte(r.checksum)
	}
	return &http.Response{
		StatusCode: http.StatusOK, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body)), Request: req,
	}, nil
}

// archive is a package of binaries that only tell their version.
func archive(t *testing.T) []byte {
	t.Helper()
	inner, err := os.ReadFile(filepath.Join("testdata", "postgres.txz"))
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	w := zip.NewWriter(&jar)
	f, err := w.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(inner); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return jar.Bytes()
}

// Not parallel: the library knows http.DefaultTransport only.
func TestFetch(t *testing.T) {
	former := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = former })
	sum := sha256.Sum256(archive(t))
	whole := &repository{archive: archive(t), checksum: hex.EncodeToString(sum[:])}
	http.DefaultTransport = whole
	dir, second, third := pgtest.Dir(t), pgtest.Dir(t), pgtest.Dir(t)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	bin, version, err := localpg.Fetch(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if version != "18.3" || !strings.HasPrefix(bin, dir) {
		t.Errorf("fetched %s to %s", version, bin)
	}
	if len(whole.asked) != 2 || !strings.HasPrefix(whole.asked[0], "https://repo1.maven.org/maven2/io/zonky/") {
		t.Errorf("asked for %q", whole.asked)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "fetch-*")); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
	if _, _, err := localpg.Fetch(t.Context(), dir, 0); err != nil || len(whole.asked) != 2 {
		t.Errorf("asked again for what is there: %q, %v", whole.asked, err)
	}
	if _, _, err := localpg.Fetch(t.Context(), second, 9); err == nil {
		t.Error("fetched a version that is not published")
	}
	http.DefaultTransport = &repository{archive: archive(t), checksum: strings.Repeat("0", 64)}
	if _, _, err := localpg.Fetch(t.Context(), third, 0); err == nil {
		t.Error("took an archive of another checksum")
	}
	if runtime.GOOS == "linux" {
		if left, _ := filepath.Glob(filepath.Join(temporary, "*")); len(left) > 0 {
			t.Errorf("left behind: %s", left)
		}
	}
}
