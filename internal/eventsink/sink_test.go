package eventsink_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mana.how/edge/internal/eventsink"
)

const lines = "{\"id\":\"1\"}\n{\"id\":\"2\"}\n"

func TestStream(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := (eventsink.Stream{Writer: &out}).Write(t.Context(), []byte(lines)); err != nil || out.String() != lines {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// A file is appended to, for its owner alone, and may be renamed between batches.
func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	sink := eventsink.File{Path: path}
	for range 2 {
		if err := sink.Write(t.Context(), []byte(lines)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != lines+lines {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := sink.Write(t.Context(), []byte(lines)); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != lines {
		t.Errorf("after a rename: %q, %v", text, err)
	}
	if err := (eventsink.File{Path: filepath.Join(path, "nowhere")}).Write(t.Context(), []byte(lines)); err == nil {
		t.Error("a path that cannot be written is no failure")
	}
}

// A webhook is signed over time and body; what is no 2xx is a failure, and a
// redirect leads nowhere.
func TestWebhook(t *testing.T) {
	t.Parallel()
	status, got := http.StatusNoContent, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("Mana-Signature") + " " + string(body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	sink := eventsink.NewWebhook(server.URL+"/in", []byte("a secret"))
	sink.Now = func() time.Time { return time.Unix(1700000000, 0) }
	if err := sink.Write(t.Context(), []byte(lines)); err != nil {
		t.Fatal(err)
	}
	// printf '1700000000.{"id":"1"}\n{"id":"2"}\n' | openssl dgst -sha256 -hmac 'a secret'
	want := "POST /in application/x-ndjson t=1700000000,v1=6773042a4c88299fbadeb3b5385874724722b7dbcd8d990e5d855639ce5bd98d " + lines
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, status = range []int{http.StatusFound, http.StatusBadRequest, http.StatusServiceUnavailable} {
		if err := sink.Write(t.Context(), []byte(lines)); err == nil {
			t.Errorf("%d is no failure", status)
		}
	}
}
