package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/internal/webhook"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// sealer seals by a prefix and the place, and opens what another prefix has sealed.
type sealer string

func (s sealer) Seal(plain, place []byte) ([]byte, error) {
	return slices.Concat([]byte(s), place, []byte{'.'}, bytes.ToUpper(plain[:1]), plain[1:]), nil
}

func (s sealer) Open(sealed, place []byte) ([]byte, error) {
	_, rest, ok := strings.Cut(string(sealed), ":"+string(place)+".")
	if !ok || rest == "" {
		return nil, fmt.Errorf("not sealed for %s", place)
	}
	return []byte(strings.ToLower(rest[:1]) + rest[1:]), nil
}

// patience is how long a test waits for what is to happen.
const patience = 90 * time.Second

// world is a database, and the webhooks of the edges at it.
type world struct {
	testing.TB
	db    *pgtest.Database
	hooks *webhook.Service // of the first edge
}

// newWorld has a database and an edge that does not run.
func newWorld(t testing.TB, change func(*webhook.Config)) *world {
	t.Helper()
	w := &world{TB: t, db: pgtest.New(t)}
	w.hooks, _ = w.edge(change)
	return w
}

// edge is another edge at the database. It may reach this machine.
func (w *world) edge(change func(*webhook.Config)) (*webhook.Service, *outbox.Box) {
	config := webhook.Config{DB: w.pool(), Sealer: sealer("a:"), SealedBy: "a:", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	if change != nil {
		change(&config)
	}
	hooks := webhook.New(config)
	box := outbox.New(outbox.Config{
		DB: w.pool(), Sealer: sealer("a:"), Families: map[string]outbox.Family{webhook.Family: hooks.Family()},
		Pauses: map[string][]time.Duration{webhook.Family: {50 * time.Millisecond}}, Poll: 50 * time.Millisecond,
	})
	hooks.Use(box)
	return hooks, box
}

func (w *world) pool() dbscope.DB {
	return dbscope.DB{Pool: w.db.Pool, Error: func(err error) error { return err }}
}

// run has an edge work until the test ends, or stop is called.
func (w *world) run(hooks *webhook.Service, box *outbox.Box) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { hooks.Run(ctx) })
	running.Go(func() { box.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	w.Cleanup(stop)
	return stop
}

// start runs the first edge.
func (w *world) start(change func(*webhook.Config)) {
	hooks, box := w.edge(change)
	w.hooks = hooks
	w.run(hooks, box)
}

// tx runs f in the scope of the system.
func (w *world) tx(f func(context.Context, pgx.Tx) error) {
	w.Helper()
	if err := w.pool().InTx(w.Context(), dbscope.System(), f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.pool().Exec(w.Context(), dbscope.System(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) count(sql string, args ...any) int64 {
	w.Helper()
	row, err := dbscope.One[struct{ N int64 }](w.Context(), w.pool(), dbscope.System(), `SELECT count(*) AS n FROM `+sql, args...)
	if err != nil {
		w.Fatal(err)
	}
	return row.N
}

// create makes an endpoint.
func (w *world) create(e webhook.Endpoint) (made webhook.Endpoint, secret string) {
	w.Helper()
	w.tx(func(ctx context.Context, tx pgx.Tx) (err error) {
		made, secret, err = w.hooks.CreateTx(ctx, tx, e)
		return err
	})
	return made, secret
}

func (w *world) users(ids ...string) {
	w.Helper()
	for _, id := range ids {
		w.exec(`INSERT INTO auth.users (id, name, email) VALUES ($1, $1, $1 || '@example.test')`, id)
	}
}

func (w *world) wait(what string, done func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("waited in vain for %s", what)
		}
	}
}

// got is a request that a receiver took.
type got struct {
	ID, Type, Subject string
	Data              map[string]any
	Raw               string
	Signatures        int
}

// receiver is an endpoint that checks what it gets as the specification has it.
type receiver struct {
	*httptest.Server
	answer func(r *http.Request, attempt int) int // nil: 204

	mu      sync.Mutex
	secrets []string // any of which must have signed
	tries   int
	list    []got
}

func newReceiver(t testing.TB, answer func(*http.Request, int) int) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // cut off
		}
		r.mu.Lock()
		r.tries++
		attempt, secrets := r.tries, slices.Clone(r.secrets)
		r.mu.Unlock()
		status := http.StatusNoContent
		if r.answer != nil {
			status = r.answer(req, attempt)
		}
		signatures, err := verify(req.Header, body, secrets)
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if status/100 == 2 {
			g := got{ID: req.Header.Get("webhook-id"), Raw: string(body), Signatures: signatures}
			var p struct {
				Type, Timestamp string
				Data            map[string]any
			}
			if err := json.Unmarshal(body, &p); err != nil || p.Type == "" || p.Timestamp == "" || req.Header.Get("Content-Type") != "application/json" {
				t.Errorf("body %s: %v", body, err)
			}
			g.Type, g.Data = p.Type, p.Data
			g.Subject, _ = p.Data["userId"].(string)
			r.mu.Lock()
			r.list = append(r.list, g)
			r.mu.Unlock()
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) trust(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = secrets
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

func (r *receiver) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tries
}

// types are those of what came, in order.
func (r *receiver) types() string {
	var list []string
	for _, g := range r.all() {
		list = append(list, g.Type)
	}
	return strings.Join(list, " ")
}

// verify is what a receiver does by the specification ("Verifying webhook authenticity"),
// written from its text: the signed content is msg_id.timestamp.payload, the key what
// follows whsec_ in base64, the header a list of version,signature with spaces between
// them, and a timestamp that is old or in the future is refused. It returns how many
// signatures there are.
func verify(h http.Header, body []byte, secrets []string) (int, error) {
	id, timestamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	var seconds int64
	if _, err := fmt.Sscanf(timestamp, "%d", &seconds); err != nil || id == "" || strings.Contains(id, ".") {
		return 0, fmt.Errorf("id %q, timestamp %q: %w", id, timestamp, err)
	}
	if age := time.Since(time.Unix(seconds, 0)).Abs(); age > 5*time.Minute {
		return 0, fmt.Errorf("the timestamp is %s away", age)
	}
	signatures := strings.Split(h.Get("webhook-signature"), " ")
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) < 24 || len(key) > 64 || !strings.HasPrefix(secret, "whsec_") {
			return 0, fmt.Errorf("the secret has %d bytes: %w", len(key), err)
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, signature := range signatures {
			if version, value, _ := strings.Cut(signature, ","); version == "v1" && hmac.Equal([]byte(value), []byte(want)) {
				return len(signatures), nil
			}
		}
	}
	return 0, fmt.Errorf("no signature of %q is by a secret", signatures)
}

var dbSystem = dbscope.System()
