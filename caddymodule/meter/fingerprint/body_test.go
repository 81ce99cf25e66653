package fingerprint_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/meter/fingerprint"
	"mana.how/edge/internal/edgetest"
)

// read marks as much of a body as an upstream reads, in odd portions.
func read(t testing.TB, body string, n int, chunked bool, headers ...string) fingerprint.Fingerprint {
	t.Helper()
	r := edgetest.Ask("POST", "/", headers...)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	if chunked {
		r.ContentLength = -1
	}
	taken := fingerprint.Take(r)
	random := rand.New(rand.NewPCG(1, uint64(len(body))))
	for n > 0 {
		k, err := r.Body.Read(make([]byte, min(n, 1+random.IntN(40_000))))
		if n -= k; err != nil {
			break
		}
	}
	return taken.Fingerprint()
}

const kib = 1 << 10

func TestFingerprints(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 64*kib) // 1 MiB
	all := 4 * len(long)
	for name, c := range map[string]struct {
		a, b   string
		na, nb int // read
		differ bool
	}{
		"same":                                {long, long, all, all, false},
		"short":                               {"a", "b", all, all, true},
		"empty":                               {"", "b", all, all, true},
		"longer":                              {long, long + "x", all, all, true},
		"after the first MiB":                 {long + "x", long + "y", all, all, true},
		"same length":                         {long + "xy", "y" + long[1:] + "xy", all, all, true},
		"nothing read":                        {long, "x" + long, 0, all, false},
		"read in part":                        {long, long, 300 * kib, all, false},
		"read in part, twice":                 {long, long, 300 * kib, 700 * kib, false},
		"read in part, another":               {long, "x" + long[1:], 300 * kib, all, true},
		"read in part, both, another":         {long, "x" + long[1:], 300 * kib, 90 * kib, true},
		"read in part, as much, another":      {long, long[:70*kib] + "x" + long[70*kib+1:], 80 * kib, 80 * kib, true},
		"more read than there is":             {long[:100*kib], long, all, 120 * kib, true},
		"another before the last checkpoint":  {long, long[:500*kib] + "x" + long[500*kib+1:], 600 * kib, all, true},
		"another behind what both have read ": {long, long[:500*kib] + "x" + long[500*kib+1:], 400 * kib, all, false},
	} {
		a, b := read(t, c.a, c.na, false), read(t, c.b, c.nb, true)
		if a.Contradicts(b) != c.differ || b.Contradicts(a) != c.differ {
			t.Errorf("%s: contradicts %v, %v; want %v", name, a.Contradicts(b), b.Contradicts(a), c.differ)
		}
		if a.Contradicts(nil) || fingerprint.Fingerprint(nil).Contradicts(a) {
			t.Errorf("%s: contradicts what is not known", name)
		}
	}
	part, more, whole := read(t, long, 100*kib, false), read(t, long, 200*kib, false), read(t, long, all, false)
	if !more.Extends(part) || part.Extends(more) || !whole.Extends(more) || more.Extends(whole) || whole.Extends(whole) || !part.Extends(nil) {
		t.Error("what says more of a body is not known")
	}
}

// However a form comes in, its boundary is not part of its mark, and all else is.
func TestFingerprintOfForms(t *testing.T) {
	t.Parallel()
	form := func(boundary, content string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + content + "\r\n--" + boundary + "--\r\n"
	}
	mark := func(boundary, body string) fingerprint.Fingerprint {
		return read(t, body, 2*len(body)+1, true, "Content-Type: multipart/form-data; boundary="+boundary)
	}
	long := strings.Repeat("\r\n--ab\r\n-", 20_000)
	for name, c := range map[string]struct {
		a, b   fingerprint.Fingerprint
		differ bool
	}{
		"boundary":                  {mark("abc", form("abc", "1")), mark("x", form("x", "1")), false},
		"content":                   {mark("abc", form("abc", "1")), mark("abc", form("abc", "2")), true},
		"content like the boundary": {mark("cat", form("cat", "cat")), mark("dog", form("dog", "dog")), true},
		"long":                      {mark("abc", form("abc", long)), mark("xyz", form("xyz", long)), false},
		"long, another":             {mark("abc", form("abc", long)), mark("xyz", form("xyz", long+"x")), true},
	} {
		if c.a.Contradicts(c.b) != c.differ {
			t.Errorf("%s: contradicts %v", name, !c.differ)
		}
	}
}

func FuzzBoundaries(f *testing.F) {
	f.Add("ab", []byte("--ab\r\n\r\n--a\r\n--ab--"), uint8(3))
	f.Add("-", []byte("\r\r\n--\r\n---\r\n---"), uint8(1))
	f.Fuzz(func(t *testing.T, boundary string, body []byte, portion uint8) {
		h := http.Header{"Content-Type": {`multipart/form-data; boundary="` + boundary + `"`}}
		var got bytes.Buffer
		w := fingerprint.WithoutBoundary(h, &got)
		for rest := body; len(rest) > 0; {
			n := min(len(rest), int(portion)+1)
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		want := body
		if parsed := fingerprint.Boundary(h); parsed != "" {
			want = bytes.ReplaceAll(append([]byte("\r\n"), body...), []byte("\r\n--"+parsed), []byte("\r\n--"))
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%q became %q, want %q", body, got.Bytes(), want)
		}
	})
}
