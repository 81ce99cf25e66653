package meter_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

// keyed is a request under a key.
func keyed(user, key, method, target, body string, headers ...string) *http.Request {
	r := edgetest.Ask(method, target, append(headers, "Idempotency-Key: "+key)...)
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	return by(user, r)
}

// A request that comes again is passed on again and charged once, at a fixed
// price as with a cost from the upstream.
func TestMeterRetry(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for _, costFrom := range []string{"", "X-Cost"} {
		user := p.user("ada"+costFrom, 8000)
		m := p.meter(&meter.Meter{Credits: "5", CostFrom: costFrom})
		again := func() *http.Request { return keyed(user, "k", "POST", "/generate?a=b", "{}") }

		failed := edgetest.Send(t, m, again(), edgetest.Answers(500))
		wantBill(t, failed.Header(), "0", "8")
		if costFrom != "" { // what cost nothing has not used the key
			for _, body := range []string{"{}", "other"} {
				nothing := edgetest.Send(t, m, keyed(user, "k", "POST", "/generate?a=b", body), edgetest.Answers(200, "X-Cost", "0"))
				wantBill(t, nothing.Header(), "0", "8")
				if got := nothing.Placeholders(); got != "free 0 8" {
					t.Errorf("placeholders %q", got)
				}
			}
		}
		first := edgetest.Send(t, m, again(), edgetest.Answers(200, "X-Cost", "5"))
		wantBill(t, first.Header(), "5", "3")
		for _, status := range []int{200, 500, 500, 404} { // what fails does not count
			retry := edgetest.Send(t, m, again(), edgetest.Answers(status))
			if retry.Code != status || retry.Reached != 1 {
				t.Errorf("retry: %d, reached %d", retry.Code, retry.Reached)
			}
			wantBill(t, retry.Header(), "0", "3")
			if got := retry.Placeholders(); got != "replayed 0 3" {
				t.Errorf("placeholders %q", got)
			}
		}
		spent := edgetest.Send(t, m, again(), edgetest.Answers(200))
		edgetest.WantRefusal(t, spent.ResponseRecorder, nil, 409, "The idempotency key is spent: its request was repeated too often, or too late")
		if spent.Reached > 0 || !strings.Contains(spent.Body.String(), `"code":"IDEMPOTENCY_KEY_SPENT"`) || spent.Placeholders() != "refused 0 -" {
			t.Errorf("spent: reached %d, %s, placeholders %q", spent.Reached, spent.Body, spent.Placeholders())
		}
		p.wantAvailable(user, 3000)
		if n := len(edgetest.Entries(t, p.Service, user)); n != 1 {
			t.Errorf("%d entries", n)
		}
		if other := edgetest.Send(t, m, keyed(user, "other", "POST", "/generate?a=b", "{}"), edgetest.Answers(200)); other.Code != 402 {
			t.Errorf("another key: %d", other.Code)
		}
	}
}

// A request whose charge came back does not pass for nothing under its key.
func TestMeterKeyOfARefundedCharge(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "5"})
	wantBill(t, edgetest.Send(t, m, keyed(ada, "k", "POST", "/", "{}"), edgetest.Answers(200)).Header(), "5", "3")
	charge := edgetest.Entries(t, p.Service, ada)[0]
	if _, err := p.Refund(t.Context(), creditcore.Refund{UserID: ada, Amount: 5000, EntryID: charge.ID, AppID: charge.AppID}); err != nil {
		t.Fatal(err)
	}
	x := edgetest.Send(t, m, keyed(ada, "k", "POST", "/", "{}"), edgetest.Answers(200))
	edgetest.WantRefusal(t, x.ResponseRecorder, nil, 409, "The charge of the idempotency key was refunded")
	if x.Reached > 0 {
		t.Error("the upstream worked for nothing")
	}
	p.wantAvailable(ada, 8000)
}

func TestMeterKeyOfAnotherRequest(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada, bob := p.user("ada", 8000), p.user("bob", 8000)
	m := p.meter(&meter.Meter{Credits: "5"})
	const form = "multipart/form-data; boundary="
	if x := edgetest.Send(t, m, keyed(ada, "k", "POST", "/a?b=c", "{}"), edgetest.Answers(200)); x.Code != 200 {
		t.Fatalf("%d: %s", x.Code, x.Body)
	}
	for name, r := range map[string]*http.Request{
		"method": keyed(ada, "k", "PUT", "/a?b=c", "{}"),
		"path":   keyed(ada, "k", "POST", "/b?b=c", "{}"),
		"query":  keyed(ada, "k", "POST", "/a?b=d", "{}"),
		"host":   keyed(ada, "k", "POST", "https://todo.example.test/a?b=c", "{}"),
		"body":   keyed(ada, "k", "POST", "/a?b=c", "[]"),
		"none":   keyed(ada, "k", "POST", "/a?b=c", ""),
	} {
		x := edgetest.Send(t, m, r, edgetest.Answers(200))
		t.Log(name)
		edgetest.WantRefusal(t, x.ResponseRecorder, nil, 422, "The idempotency key was used for another request")
		if x.Reached > 0 || !strings.HasPrefix(x.Placeholders(), "refused 0 ") {
			t.Errorf("%s: reached %d, placeholders %q", name, x.Reached, x.Placeholders())
		}
	}
	p.wantAvailable(ada, 3000)
	if x := edgetest.Send(t, m, keyed(bob, "k", "POST", "/b", "{}"), edgetest.Answers(200)); x.Code != 200 {
		t.Errorf("the same key of another user: %d", x.Code)
	}
	// A browser sends a form under a new boundary each time.
	eve := p.user("eve", 8000)
	for _, boundary := range []string{"abc", "xyz"} {
		body := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--" + boundary + "--\r\n"
		if x := edgetest.Send(t, m, keyed(eve, "k", "POST", "/a", body, "Content-Type: "+form+boundary), edgetest.Answers(200)); x.Code != 200 {
			t.Errorf("form: %d", x.Code)
		}
	}
	p.wantAvailable(eve, 3000)
}

// Nothing that a client says about its body keeps the body out of the mark: one
// charge would pay for any number of requests.
func TestMeterKeyOfADisguisedBody(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	m := p.meter(&meter.Meter{Credits: "5"})
	for name, bodies := range map[string][2]struct{ body, header string }{
		"no upgrade": {{"a cat", "Upgrade: x"}, {"a dog", "Upgrade: x"}},
		"boundary": {
			{`{"prompt":"a cat"}`, `Content-Type: multipart/mixed; boundary="a cat"`},
			{`{"prompt":"a dog"}`, `Content-Type: multipart/mixed; boundary="a dog"`},
		},
		"content like the boundary": {
			{"--cat\r\n\r\ncat\r\n--cat--", "Content-Type: multipart/form-data; boundary=cat"},
			{"--dog\r\n\r\ndog\r\n--dog--", "Content-Type: multipart/form-data; boundary=dog"},
		},
	} {
		user := p.user(name, 8000)
		for i, want := range []int{200, 422} {
			x := edgetest.Send(t, m, keyed(user, "k", "POST", "/", bodies[i].body, bodies[i].header), edgetest.Answers(200))
			if x.Code != want {
				t.Errorf("%s: %q is %d, want %d", name, bodies[i].body, x.Code, want)
			}
		}
		p.wantAvailable(user, 3000)
	}
}

// What the meter has read of a body the upstream reads, too.
func TestMeterKeepsTheBody(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 80_000)
	m := p.meter(&meter.Meter{Credits: "5"})
	long := strings.Repeat("0123456789", 300_000)
	for i, body := range []string{"x", long, long + "y"} {
		var got strings.Builder
		x := edgetest.Send(t, m, keyed(ada, string(rune('a'+i)), "POST", "/", body), func(_ http.ResponseWriter, r *http.Request) error {
			_, err := io.Copy(&got, r.Body)
			return err
		})
		if x.Err != nil || got.String() != body {
			t.Errorf("%d of %d bytes, %v", got.Len(), len(body), x.Err)
		}
	}
	// The length tells apart what the beginning does not.
	if x := edgetest.Send(t, m, keyed(ada, "b", "POST", "/", long+"z"), edgetest.Answers(200)); x.Code != 422 {
		t.Errorf("%d", x.Code)
	}
	broken := keyed(ada, "broken", "POST", "/", "x")
	broken.Body = io.NopCloser(brokenReader{})
	if x := edgetest.Send(t, m, broken, edgetest.Answers(200)); x.Err == nil || x.Reached > 0 {
		t.Errorf("broken body: %d, %v", x.Code, x.Err)
	}
	p.wantAvailable(ada, 65_000)
}

// A tunnel's body is its traffic, and a key for it would pay for as many as one
// likes.
func TestMeterKeyOfATunnel(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	m := p.meter(&meter.Meter{Credits: "2"})
	for method, headers := range map[string][]string{"CONNECT": nil, "GET": {"Connection: keep-alive, Upgrade", "Upgrade: websocket"}} {
		user := p.user(method, 5000)
		for _, left := range []string{"3", "1", ""} {
			r := keyed(user, "k", method, "/", "", headers...)
			if method == "CONNECT" { // extended (RFC 8441)
				r.Body, r.ContentLength = io.NopCloser(leaver(func() { t.Error("the body was read") })), -1
				r.ProtoMajor, r.Header[":protocol"] = 2, []string{"websocket"}
			}
			x := edgetest.Send(t, m, r, edgetest.Answers(200))
			if left == "" && x.Code != 402 {
				t.Errorf("%s: %d without credits", method, x.Code)
			} else if left != "" {
				wantBill(t, x.Header(), "2", left)
			}
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestMeterBadKeys(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "5"})
	for _, c := range []struct {
		keys    []string
		message string
	}{
		{[]string{""}, "Idempotency-Key should not be empty"},
		{[]string{"a", "b"}, "Idempotency-Key must not be repeated"},
		{[]string{strings.Repeat("k", 256)}, "Idempotency-Key must be shorter than or equal to 255 characters"},
		{[]string{"\xff"}, "Idempotency-Key must be valid UTF-8"},
	} {
		r := edgetest.Ask("POST", "/")
		r.Header["Idempotency-Key"] = c.keys
		x := edgetest.Send(t, m, by(ada, r), edgetest.Answers(200))
		edgetest.WantRefusal(t, x.ResponseRecorder, nil, 400, c.message)
		if x.Reached > 0 {
			t.Errorf("%q: passed", c.keys)
		}
	}
	p.wantAvailable(ada, 8000)
	if x := edgetest.Send(t, m, keyed(ada, strings.Repeat("ü", 255), "POST", "/", ""), edgetest.Answers(200)); x.Code != 200 {
		t.Errorf("the longest key: %d", x.Code)
	}
}

// Of concurrent twins one is charged, also where some fail, and three pass;
// without a key all are charged, and never more than there is.
func TestMeterTwins(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	const twins = 32
	for name, c := range map[string]struct {
		meter   *meter.Meter
		key     string
		fail    int32 // that many fail, first
		left    string
		passed  int32
		charged int32
	}{
		"fixed":          {&meter.Meter{Credits: "5"}, "k", 0, "3", 3, 1},
		"cost":           {&meter.Meter{Credits: "5", CostFrom: "X-Cost"}, "k", 0, "6", 3, 1},
		"some fail":      {&meter.Meter{Credits: "5"}, "k", 2, "3", 3, 1},
		"all fail":       {&meter.Meter{Credits: "5"}, "k", twins, "8", 3, 0},
		"without a key":  {&meter.Meter{Credits: "2"}, "", 0, "0", 4, 4},
		"holds, no key":  {&meter.Meter{Credits: "2", CostFrom: "X-Cost"}, "", 0, "0", 4, 4},
		"keys of others": {&meter.Meter{Credits: "2"}, "each", 0, "0", 4, 4},
	} {
		user := p.user(name, 8000)
		m := p.meter(c.meter)
		var begin, end, decided sync.WaitGroup
		var passed, charged, refused, tried atomic.Int32
		begin.Add(1)
		decided.Add(twins)
		for i := range twins {
			end.Go(func() {
				r := by(user, edgetest.Ask("POST", "/"))
				if c.key != "" {
					key := c.key
					if key == "each" {
						key += string(rune('a' + i))
					}
					r = keyed(user, key, "POST", "/", "")
				}
				begin.Wait()
				x := edgetest.Send(t, m, r, func(w http.ResponseWriter, r *http.Request) error {
					decided.Done()
					decided.Wait() // so that all twins meet the same hold
					status := 200
					if tried.Add(1) <= c.fail {
						status = 500
					}
					return edgetest.Answers(status, "X-Cost", "2")(w, r)
				})
				if passed.Add(int32(x.Reached)); x.Reached == 0 {
					decided.Done()
				}
				if x.Code == 409 {
					refused.Add(1)
				}
				if cost := x.Header().Get("Mana-Credits-Cost"); cost != "0" && cost != "" {
					charged.Add(1)
				}
			})
		}
		begin.Done()
		end.Wait()
		t.Log(name)
		p.wantAvailable(user, amount(t, c.left))
		if passed.Load() != c.passed || charged.Load() != c.charged {
			t.Errorf("%s: %d passed, want %d; %d say that they were charged, want %d", name, passed.Load(), c.passed, charged.Load(), c.charged)
		}
		if c.key == "k" && refused.Load() != twins-3 {
			t.Errorf("%s: %d refused", name, refused.Load())
		}
	}
}

// A hold that outlives its time is charged late, and one whose retry was
// charged meanwhile is not charged again.
func TestMeterSlowAttempt(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "5", HoldTTL: caddy.Duration(time.Second)})
	again := func() *http.Request { return keyed(ada, "k", "POST", "/", "") }
	slow := edgetest.Send(t, m, again(), func(w http.ResponseWriter, r *http.Request) error {
		time.Sleep(1100 * time.Millisecond)
		wantBill(t, edgetest.Send(t, m, again(), edgetest.Answers(200)).Header(), "5", "3")
		return edgetest.Answers(200)(w, r)
	})
	wantBill(t, slow.Header(), "0", "3")
	p.wantAvailable(ada, 3000)
}

// The key stands for the URL that the client asked for, also after handle_path
// and rewrite.
func TestMeterKeyAfterRewrite(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "2"})
	rewritten := caddyhttp.MiddlewareHandler(rewriter{m})
	for path, status := range map[string]int{"/a/x": 200, "/b/x": 200} {
		if x := edgetest.Send(t, rewritten, keyed(ada, path, "POST", path, ""), edgetest.Answers(200)); x.Code != status {
			t.Errorf("%s: %d", path, x.Code)
		}
	}
	if x := edgetest.Send(t, rewritten, keyed(ada, "/a/x", "POST", "/b/x", ""), edgetest.Answers(200)); x.Code != 422 {
		t.Errorf("%d", x.Code)
	}
}

type rewriter struct{ caddyhttp.MiddlewareHandler }

func (h rewriter) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	r.URL.Path = "/x"
	return h.MiddlewareHandler.ServeHTTP(w, r, next)
}

// A client that leaves while its body is read owes nothing.
func TestMeterClientLeavesWithItsBody(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	ctx, leave := context.WithCancel(t.Context())
	r := keyed(ada, "k", "POST", "/", "x").WithContext(ctx)
	r = by(ada, r)
	r.Body = io.NopCloser(leaver(leave))
	x := edgetest.Send(t, p.meter(&meter.Meter{Credits: "5"}), r, edgetest.Answers(200))
	if x.Code != 499 || x.Reached > 0 {
		t.Errorf("%d, reached %d", x.Code, x.Reached)
	}
	p.wantAvailable(ada, 8000)
}

type leaver func()

func (l leaver) Read([]byte) (int, error) {
	l()
	return 0, io.ErrUnexpectedEOF
}
