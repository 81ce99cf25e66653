package objectstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/objectstore"
)

func TestS3PutsPublicObjects(t *testing.T) {
	t.Parallel()
	server := newS3Server(t)
	cfg := server.config()
	put(t, newS3(t, cfg), "avatars/u/1.jpg", "one")
	cfg.ACL = "public-read"
	put(t, newS3(t, cfg), "avatars/u/2.jpg", "two")
	for key, acl := range map[string]string{"avatars/u/1.jpg": "", "avatars/u/2.jpg": "public-read"} {
		object, _ := server.get(key)
		for name, want := range map[string]string{
			"Content-Type": "image/jpeg", "Cache-Control": "public, max-age=31536000, immutable", "X-Amz-Acl": acl,
		} {
			if got := object.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", key, name, got, want)
			}
		}
	}
	if seen := server.seen(); len(seen) != 2 {
		t.Errorf("two objects took the requests %q", seen)
	}
}

func TestS3URL(t *testing.T) {
	t.Parallel()
	cfg := newS3Server(t).config()
	cfg.Endpoint = "https://s3.test/"
	for public, want := range map[string]string{
		"": "https://s3.test/pictures/a/b.jpg", "https://cdn.test": "https://cdn.test/a/b.jpg", "https://cdn.test/x/": "https://cdn.test/x/a/b.jpg",
	} {
		cfg.PublicURL = public
		if got := newS3(t, cfg).URL("a/b.jpg"); got != want {
			t.Errorf("%q: %s, want %s", public, got, want)
		}
	}
}

// operations are all of a store, each with the error it ends with.
func operations(ctx context.Context, store objectstore.Store) map[string]error {
	body, _, getErr := store.Get(ctx, "a/b.jpg")
	if getErr == nil {
		_, getErr = io.ReadAll(body)
		_ = body.Close()
	}
	_, prefixErr := store.DeletePrefix(ctx, "a")
	return map[string]error{
		"put": store.Put(ctx, "a/b.jpg", "image/jpeg", []byte("b")), "get": getErr,
		"delete": store.Delete(ctx, "a/b.jpg"), "delete all of": prefixErr, "check": store.Check(ctx),
	}
}

func TestS3TellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	server := newS3Server(t)
	for _, c := range []struct {
		name string
		bend func(*objectstore.S3Config)
		want string
	}{
		{"secret key", func(c *objectstore.S3Config) { c.SecretKey = "not-the-secret" }, "SignatureDoesNotMatch"},
		{"access key", func(c *objectstore.S3Config) { c.AccessKey = "not-the-key" }, "InvalidAccessKeyId"},
		{"bucket", func(c *objectstore.S3Config) { c.Bucket = "another" }, "NoSuchBucket"},
		{"region", func(c *objectstore.S3Config) { c.Region = "eu-west-1" }, "AuthorizationHeaderMalformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := server.config()
			c.bend(&cfg)
			for operation, err := range operations(t.Context(), newS3(t, cfg)) {
				if err == nil {
					t.Errorf("%s: no error", operation)
					continue
				}
				text := err.Error()
				for _, part := range []string{operation, cfg.Bucket, c.want} {
					if !strings.Contains(text, part) {
						t.Errorf("%s: the error lacks %q: %s", operation, part, text)
					}
				}
				if operation != "check" && !strings.Contains(text, "/a") {
					t.Errorf("%s: the error lacks the key: %s", operation, text)
				}
				if errors.Is(err, objectstore.ErrNotFound) {
					t.Errorf("%s: it is said that there is no object", operation)
				}
				noSecret(t, text, cfg)
			}
		})
	}
}

func noSecret(t *testing.T, text string, cfg objectstore.S3Config) {
	t.Helper()
	for _, secret := range []string{cfg.AccessKey, cfg.SecretKey} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is told: %s", text)
		}
	}
}

func TestS3ThatIsDown(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := newS3Server(t).config()
	cfg.Endpoint = "http://" + l.Addr().String()
	l.Close()
	cfg.Timeout = 5 * time.Second
	for operation, err := range operations(t.Context(), newS3(t, cfg)) {
		var refused *net.OpError
		if !errors.As(err, &refused) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", operation, err)
		} else {
			noSecret(t, err.Error(), cfg)
		}
	}
}

// A service that hangs is left when the caller has no more time, or after the
// time of the configuration.
func TestS3ThatHangs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		stall func(w http.ResponseWriter, r *http.Request, attempt int) bool
	}{
		{"before it answers", func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			<-r.Context().Done()
			return true
		}},
		{"while it answers", func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("Content-Length", "1000")
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			_, _ = io.WriteString(w, "<ListBucketResult>")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newS3Server(t)
			server.trouble = c.stall
			cfg := server.config()
			mayPass := c.name == "while it answers" // to put and to delete, the status is enough
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			for operation, err := range operations(ctx, newS3(t, cfg)) {
				if !errors.Is(err, context.DeadlineExceeded) && (!mayPass || operation != "put" && operation != "delete") {
					t.Errorf("%s with a deadline: %v", operation, err)
				}
			}
			cfg.Timeout = 100 * time.Millisecond
			for operation, err := range operations(t.Context(), newS3(t, cfg)) {
				if !errors.Is(err, context.DeadlineExceeded) && (!mayPass || operation != "put" && operation != "delete") {
					t.Errorf("%s with a timeout: %v", operation, err)
				}
			}
		})
	}
}

// What may pass is tried again, three times at most, with the whole body.
func TestS3TriesAgain(t *testing.T) {
	t.Parallel()
	server := newS3Server(t)
	unavailable := func(until int) {
		server.mu.Lock()
		defer server.mu.Unlock()
		server.requests = nil
		server.trouble = func(w http.ResponseWriter, _ *http.Request, attempt int) bool {
			if attempt > until {
				return false
			}
			s3Error(w, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
			return true
		}
	}
	store := newS3(t, server.config())
	unavailable(2)
	put(t, store, "a/b.jpg", "body")
	if object, _ := server.get("a/b.jpg"); string(object.body) != "body" {
		t.Errorf("put is %q", object.body)
	}
	unavailable(1 << 20)
	err := store.Put(t.Context(), "a/b.jpg", "image/jpeg", []byte("never"))
	if err == nil || !strings.Contains(err.Error(), "SlowDown") {
		t.Errorf("the error is %v", err)
	}
	if seen := server.seen(); len(seen) != 3 {
		t.Errorf("it was tried %d times", len(seen))
	}
	server.mu.Lock()
	server.requests, server.trouble = nil, nil
	server.mu.Unlock()
	if body, _ := get(t, store, "a/b.jpg"); body != "body" {
		t.Errorf("the object is %q", body)
	}
}

// What could not be deleted is told, and what could is counted.
func TestS3DeletesAllItMay(t *testing.T) {
	t.Parallel()
	server := newS3Server(t)
	store := newS3(t, server.config())
	for i := range 10 {
		put(t, store, fmt.Sprintf("a/%d.jpg", i), "x")
	}
	put(t, store, "a/locked.jpg", "x")
	n, err := store.DeletePrefix(t.Context(), "a")
	if n != 10 || err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("%d deleted, %v", n, err)
	}
	get(t, store, "a/locked.jpg")

	server.mu.Lock()
	server.trouble = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method != http.MethodPost {
			return false
		}
		s3Error(w, http.StatusForbidden, "AccessDenied", "no")
		return true
	}
	server.mu.Unlock()
	put(t, store, "b/1.jpg", "x")
	if n, err := store.DeletePrefix(t.Context(), "b"); n != 0 || err == nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	get(t, store, "b/1.jpg")
}

// Objects are deleted page by page, each within the timeout, and each once.
func TestS3DeletesByPages(t *testing.T) {
	t.Parallel()
	server := newS3Server(t)
	for i := range 1001 {
		server.objects[fmt.Sprintf("a/ghost%04d.jpg", i)] = s3Object{}
	}
	if n, err := newS3(t, server.config()).DeletePrefix(t.Context(), "a"); n != 1001 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	var methods []string
	for _, request := range server.seen() {
		method, _, _ := strings.Cut(request, " ")
		methods = append(methods, method)
	}
	if got := strings.Join(methods, " "); got != "GET POST GET POST GET" {
		t.Errorf("the requests are %s", got)
	}
}

func TestS3RegionByDefault(t *testing.T) {
	t.Parallel()
	server := newS3Server(t)
	signed := make(chan string, 1)
	server.trouble = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		signed <- r.Header.Get("Authorization")
		return true
	}
	cfg := server.config()
	cfg.Region = ""
	put(t, newS3(t, cfg), "a.jpg", "x")
	if got := <-signed; !strings.Contains(got, "/us-east-1/s3/aws4_request") {
		t.Errorf("it is signed as %s", got)
	}
}

func TestS3ConfigValidates(t *testing.T) {
	t.Parallel()
	valid := objectstore.S3Config{Endpoint: "https://s3.test", Bucket: "pictures", AccessKey: "access", SecretKey: "hidden"}
	if err := valid.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		bend func(*objectstore.S3Config)
	}{
		{"endpoint: is missing", func(c *objectstore.S3Config) { c.Endpoint = "" }},
		{"endpoint: must begin", func(c *objectstore.S3Config) { c.Endpoint = "s3.test" }},
		{"endpoint: must begin", func(c *objectstore.S3Config) { c.Endpoint = "ftp://s3.test" }},
		{"endpoint: must not have a user", func(c *objectstore.S3Config) { c.Endpoint = "https://me:hidden@s3.test" }},
		{"endpoint: must not have a path", func(c *objectstore.S3Config) { c.Endpoint = "https://s3.test/pictures" }},
		{"endpoint: must not have a query", func(c *objectstore.S3Config) { c.Endpoint = "https://s3.test?key=hidden" }},
		{"endpoint: is no URL", func(c *objectstore.S3Config) { c.Endpoint = "https://s3.test:hidden" }},
		{"bucket: is missing", func(c *objectstore.S3Config) { c.Bucket = "" }},
		{"bucket: ", func(c *objectstore.S3Config) { c.Bucket = "Pictures/../x" }},
		{"access_key: is missing", func(c *objectstore.S3Config) { c.AccessKey = "" }},
		{"secret_key: is missing", func(c *objectstore.S3Config) { c.SecretKey = "" }},
		{"must be printable", func(c *objectstore.S3Config) { c.SecretKey = "hidden\n" }},
		{"must be printable", func(c *objectstore.S3Config) { c.AccessKey = "hiddén" }},
		{"public_url: must begin", func(c *objectstore.S3Config) { c.PublicURL = "/files" }},
		{"acl: ", func(c *objectstore.S3Config) { c.ACL = "public-read-write" }},
		{"timeout: ", func(c *objectstore.S3Config) { c.Timeout = -1 }},
	} {
		cfg := valid
		c.bend(&cfg)
		_, err := objectstore.NewS3(cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("want %q: %v", c.want, err)
		}
	}
	_, err := objectstore.NewS3(objectstore.S3Config{})
	for _, field := range []string{"endpoint", "bucket", "access_key", "secret_key"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("an empty configuration: %v lacks %s", err, field)
		}
	}
}

func TestS3ConfigTellsNoSecret(t *testing.T) {
	t.Parallel()
	cfg := newS3Server(t).config()
	cfg.Endpoint = "https://me:" + cfg.SecretKey + "@s3.test"
	holder := struct {
		Config  objectstore.S3Config
		Pointer *objectstore.S3Config
	}{cfg, &cfg}
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", cfg, "pointer", &cfg)
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "config", cfg, "holder", holder)
	cfg.Endpoint = "https://s3.test"
	store := newS3(t, cfg)
	printed := string(encoded) + log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb+verb+verb, cfg, &cfg, holder) + fmt.Sprintf(verb+verb, store, struct{ Store objectstore.Store }{store})
	}
	noSecret(t, printed, cfg)
	if !strings.Contains(printed, testBucket) {
		t.Errorf("nothing is told: %s", printed)
	}
}
