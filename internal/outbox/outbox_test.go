package outbox_test

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/crypto/chacha20poly1305"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// sealer seals with its first key and opens with any.
type sealer []cipher.AEAD

func keys(t *testing.T, names ...byte) (s sealer) {
	t.Helper()
	for _, name := range names {
		aead, err := chacha20poly1305.NewX(bytes.Repeat([]byte{name}, chacha20poly1305.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, aead)
	}
	return s
}

func (s sealer) Seal(plain, additional []byte) ([]byte, error) {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	return s[0].Seal(nonce, nonce, plain, additional), nil
}

func (s sealer) Open(sealed, additional []byte) ([]byte, error) {
	for _, aead := range s {
		if plain, err := aead.Open(nil, sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:], additional); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("sealed with another key")
}

// inbox remembers what was delivered, and fails as told.
type inbox struct {
	mu       sync.Mutex
	messages []outbox.Message
	deliver  outbox.Deliver // first, if set; its error is that of the delivery
}

func (i *inbox) take(ctx context.Context, m outbox.Message) error {
	if i.deliver != nil {
		if err := i.deliver(ctx, m); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.messages = append(i.messages, m)
	return nil
}

func (i *inbox) all() []outbox.Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]outbox.Message(nil), i.messages...)
}

func pool(p *pgxpool.Pool) dbscope.DB {
	return dbscope.DB{Pool: p, Error: func(err error) error { return err }}
}

// config is one that delivers mails into box, fast.
func config(t *testing.T, p *pgxpool.Pool, box *inbox) outbox.Config {
	t.Helper()
	return outbox.Config{
		DB: pool(p), Sealer: keys(t, 1), Channels: map[string]outbox.Deliver{"mail": box.take},
		Poll: 50 * time.Millisecond, Timeout: 5 * time.Second,
	}
}

// run runs a Box until the test ends, or until stop is called.
func run(t *testing.T, b *outbox.Box) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		b.Run(ctx)
		close(done)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// put writes messages in a transaction of their own.
func put(t *testing.T, b *outbox.Box, p *pgxpool.Pool, messages ...outbox.Message) {
	t.Helper()
	err := dbscope.InTx(t.Context(), p, dbscope.System(), func(tx pgx.Tx) error { return b.Put(t.Context(), tx, messages...) })
	if err != nil {
		t.Fatal(err)
	}
}

func letter(text string) outbox.Message {
	body, _ := json.Marshal(text)
	return outbox.Message{Channel: "mail", Kind: "reset_password", UserID: "ada", Body: body}
}

// until waits for a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !met(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

type row struct {
	ID        string
	Body      []byte
	Attempts  int
	Pause     float64 // seconds until it is due
	Leased    bool
	LastError *string
	Sent      bool
	Dead      bool
}

func rows(t *testing.T, db *pgtest.Database) []row {
	t.Helper()
	list, err := dbscope.Rows[row](t.Context(), db.Pool, dbscope.System(), `
		SELECT id, body, attempts, extract(epoch FROM due_at - now())::float8 AS pause, leased_until > now() IS TRUE AS leased,
		       last_error, sent_at IS NOT NULL AS sent, dead_at IS NOT NULL AS dead
		FROM mana.outbox ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func one(t *testing.T, db *pgtest.Database) row {
	t.Helper()
	list := rows(t, db)
	if len(list) != 1 {
		t.Fatalf("%d messages: %+v", len(list), list)
	}
	return list[0]
}

// shift moves the clock of every message: what was then is d earlier.
func shift(t *testing.T, db *pgtest.Database, d time.Duration) {
	t.Helper()
	_, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `
		UPDATE mana.outbox SET created_at = created_at - s, due_at = due_at - s, give_up_at = give_up_at - s,
		       leased_until = leased_until - s, sent_at = sent_at - s, dead_at = dead_at - s
		FROM make_interval(secs => $1) AS s`, d.Seconds())
	if err != nil {
		t.Fatal(err)
	}
}
