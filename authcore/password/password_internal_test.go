package password

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// cheap is the smallest cost there is.
var cheap = Hashing{MemoryKiB: 64, Time: 1, Parallelism: 1, Concurrent: 4}

const scryptVector = "00112233445566778899aabbccddeeff:" +
	"f4482ac2cfbda1642ce73f3ceb92648b9934a3f199a533d0f46bb4da9ca0e740f146136283203c476fa10abe38651e2d2a521ef75406f9a8f7fbe0047aa1a425"

func bcryptOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func scryptOf(t *testing.T, salt, password string) string {
	t.Helper()
	key, err := scrypt.Key([]byte(password), []byte(salt), 16384, 16, 1, 64)
	if err != nil {
		t.Fatal(err)
	}
	return salt + ":" + hex.EncodeToString(key)
}

func argonOf(password string, m, n uint32, p uint8, salt string, size uint32) string {
	sum := argon2.IDKey([]byte(password), []byte(salt), n, m, p, size)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", m, n, p, b64([]byte(salt)), b64(sum))
}

func TestHashRoundTrip(t *testing.T) {
	t.Parallel()
	h := NewHasher(Hashing{}, nil)
	a, err := h.Hash(t.Context(), "Passw0rd!")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash is %q", a)
	}
	b, err := h.Hash(t.Context(), "Passw0rd!")
	if err != nil || a == b {
		t.Errorf("two hashes of one password are alike (error %v)", err)
	}
	if ok, rehash, err := h.Verify(t.Context(), a, "Passw0rd!"); !ok || rehash || err != nil {
		t.Errorf("right password: ok %v, rehash %v, error %v", ok, rehash, err)
	}
	if ok, rehash, err := h.Verify(t.Context(), a, "passw0rd!"); ok || rehash || err != nil {
		t.Errorf("wrong password: ok %v, rehash %v, error %v", ok, rehash, err)
	}
}

func TestVerifyStoredHashes(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap, nil)
	const salt = "0123456789abcdef"
	long := strings.Repeat("x", 80)
	longBcrypt := bcryptOf(t, long[:72])
	for _, tt := range []struct {
		name, encoded, password string
		ok, rehash              bool
	}{
		{"scrypt of the contract", scryptVector, "Passw0rd!", true, true},
		{"scrypt, wrong password", scryptVector, "Passw0rd?", false, false},
		{"scrypt, password composed otherwise", scryptOf(t, strings.Repeat("ab", 16), "caf\u00e9 au lait"), "cafe\u0301 au lait", true, true},
		{"bcrypt", bcryptOf(t, "Passw0rd!"), "Passw0rd!", true, true},
		{"bcrypt 2a as 2b", strings.Replace(bcryptOf(t, "Passw0rd!"), "$2a$", "$2b$", 1), "Passw0rd!", true, true},
		{"bcrypt, wrong password", bcryptOf(t, "Passw0rd!"), "Passw0rd", false, false},
		{"bcrypt past 72 bytes", longBcrypt, long, true, true},
		{"argon2id of today", argonOf("Passw0rd!", 64, 1, 1, salt, 32), "Passw0rd!", true, false},
		{"argon2id, wrong password", argonOf("Passw0rd!", 64, 1, 1, salt, 32), "", false, false},
		{"argon2id, other memory", argonOf("Passw0rd!", 128, 1, 1, salt, 32), "Passw0rd!", true, true},
		{"argon2id, other time", argonOf("Passw0rd!", 64, 2, 1, salt, 32), "Passw0rd!", true, true},
		{"argon2id, other lanes", argonOf("Passw0rd!", 64, 1, 2, salt, 32), "Passw0rd!", true, true},
		{"argon2id, short sum", argonOf("Passw0rd!", 64, 1, 1, salt, 16), "Passw0rd!", true, true},
		{"argon2id, short salt", argonOf("Passw0rd!", 64, 1, 1, salt[:8], 32), "Passw0rd!", true, true},
		{"argon2id, in NFKC", argonOf("ffi caf\u00e9", 64, 1, 1, salt, 32), "\uFB03 cafe\u0301", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ok, rehash, err := h.Verify(t.Context(), tt.encoded, tt.password)
			if ok != tt.ok || rehash != tt.rehash || err != nil {
				t.Errorf("ok %v, rehash %v, error %v; want %v, %v", ok, rehash, err, tt.ok, tt.rehash)
			}
		})
	}
}

// A row in the database must neither crash nor exhaust the process, and no
// password may match what is not a hash.
func TestVerifyRefusesPoisonedHashes(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap, nil)
	good := argonOf("", 64, 1, 1, "0123456789abcdef", 32)
	with := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in %q", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	expensiveBcrypt := strings.Replace(bcryptOf(t, ""), "$04$", "$31$", 1)
	for name, encoded := range map[string]string{
		"empty":              "",
		"dollar":             "$",
		"clear text":         "Passw0rd!",
		"colon":              ":",
		"memory":             with("m=64", "m=262145"),
		"memory overflow":    with("m=64", "m=4294967360"),
		"too little memory":  with("m=64", "m=7"),
		"no memory":          with("m=64", "m=0"),
		"time":               with("t=1", "t=11"),
		"no time":            with("t=1", "t=0"),
		"no lanes":           with("p=1", "p=0"),
		"lanes":              with("p=1", "p=255"),
		"sign":               with("t=1", "t=+1"),
		"order":              with("m=64,t=1", "t=1,m=64"),
		"version":            with("v=19", "v=16"),
		"kind":               with("argon2id", "argon2i"),
		"no sum":             good[:strings.LastIndexByte(good, '$')+1],
		"short sum":          good[:strings.LastIndexByte(good, '$')+5],
		"one part more":      good + "$",
		"bad base64":         good[:len(good)-1] + "!",
		"scrypt without key": "00112233445566778899aabbccddeeff:",
		"scrypt short key":   scryptVector[:60],
		"scrypt no salt":     scryptVector[32:],
		"scrypt not hex":     scryptVector[:len(scryptVector)-1] + "g",
		"bcrypt cost":        expensiveBcrypt,
		"bcrypt cut":         bcryptOf(t, "")[:59],
		"bcrypt prefix":      "$2a$",
	} {
		start := time.Now()
		ok, rehash, err := h.Verify(t.Context(), encoded, "")
		if ok || rehash || err == nil {
			t.Errorf("%s: ok %v, rehash %v, error %v", name, ok, rehash, err)
		}
		if err != nil && len(encoded) > 8 && strings.Contains(err.Error(), encoded) {
			t.Errorf("%s: the error holds the hash", name)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s: took %v", name, d)
		}
	}
}

func TestVerifyFake(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap, nil)
	fake, err := parseArgonHash(h.fake)
	if err != nil {
		t.Fatal(err)
	}
	if fake.cost != h.cost || fake.outdated(h.cost) {
		t.Errorf("fake cost %+v, today's %+v", fake.cost, h.cost)
	}
	if err := h.VerifyFake(t.Context(), "Passw0rd!"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.VerifyFake(ctx, "Passw0rd!"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestHashingStaysReadable(t *testing.T) {
	t.Parallel()
	for _, h := range []Hashing{{}, {MemoryKiB: 1, Parallelism: 4}, {MemoryKiB: 1 << 30, Time: 1 << 30, Parallelism: 255}} {
		if _, err := parseArgonHash(NewHasher(h, nil).fake); err != nil {
			t.Errorf("%+v: own hashes are refused: %v", h, err)
		}
	}
}

func TestHasherBoundsConcurrency(t *testing.T) {
	t.Parallel()
	const slots, calls = 3, 40
	var waits atomic.Int32
	h := NewHasher(Hashing{MemoryKiB: 8, Time: 1, Concurrent: slots, Wait: time.Minute}, func(time.Duration) { waits.Add(1) })
	var running, most atomic.Int32
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			err := h.run(t.Context(), func() error {
				n := running.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(time.Millisecond)
				running.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > slots {
		t.Errorf("%d at once, %d allowed", most.Load(), slots)
	}
	if waits.Load() != calls {
		t.Errorf("%d waits observed, want %d", waits.Load(), calls)
	}
}

func TestHasherQueue(t *testing.T) {
	t.Parallel()
	h := NewHasher(Hashing{MemoryKiB: 8, Time: 1, Concurrent: 1, Wait: 20 * time.Millisecond}, nil)
	release := make(chan struct{})
	started := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- h.run(context.Background(), func() error { close(started); <-release; return nil })
	}()
	<-started
	if _, err := h.Hash(t.Context(), "Passw0rd!"); !errors.Is(err, ErrBusy) {
		t.Errorf("full: error %v, want ErrBusy", err)
	}
	if err := h.VerifyFake(t.Context(), "Passw0rd!"); !errors.Is(err, ErrBusy) {
		t.Errorf("full: error %v, want ErrBusy", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := h.Verify(ctx, scryptVector, "Passw0rd!"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: error %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := h.Hash(t.Context(), "Passw0rd!"); err != nil {
		t.Errorf("free again: %v", err)
	}
}

func TestHasherSurvivesPanics(t *testing.T) {
	t.Parallel()
	h := NewHasher(Hashing{MemoryKiB: 8, Time: 1, Concurrent: 1, Wait: time.Second}, nil)
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = h.run(t.Context(), func() error { panic("hash") })
		}()
	}
	if _, err := h.Hash(t.Context(), "Passw0rd!"); err != nil {
		t.Errorf("after panics: %v", err)
	}
}

func TestCommonPasswordsList(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	lines := bufio.NewScanner(strings.NewReader(commonPasswordLines))
	last := ""
	for lines.Scan() {
		line := lines.Text()
		if utf8.RuneCountInString(line) < minPasswordLength || line != strings.ToLower(line) || line != strings.TrimSpace(line) {
			t.Errorf("%q is short, not lower case, or has blanks", line)
		}
		if seen[line] || line < last {
			t.Errorf("%q is double or out of order", line)
		}
		seen[line], last = true, line
	}
	if len(seen) < 1000 {
		t.Errorf("%d passwords, want 1000", len(seen))
	}
	if commonPassword("") {
		t.Error("the empty password is on the list")
	}
}

func FuzzStoredPassword(f *testing.F) {
	f.Add(scryptVector)
	f.Add("$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	f.Add(argonOf("a", 64, 1, 1, "0123456789abcdef", 32))
	f.Fuzz(func(t *testing.T, encoded string) {
		stored, err := parsePasswordHash(encoded)
		if err != nil {
			return
		}
		if a, ok := stored.(argonHash); ok {
			if a.cost.memoryKiB > maxArgonMemoryKiB || a.cost.time > maxArgonTime || a.cost.time == 0 || a.cost.lanes == 0 || len(a.sum) < 16 {
				t.Errorf("%q is accepted with cost %+v", encoded, a.cost)
			}
			again, err := parseArgonHash(a.String())
			if err != nil || again.String() != a.String() {
				t.Errorf("%q does not survive being written: %v", encoded, err)
			}
		}
	})
}

func BenchmarkHash(b *testing.B) {
	h := NewHasher(Hashing{}, nil)
	for b.Loop() {
		if _, err := h.Hash(b.Context(), "Passw0rd!"); err != nil {
			b.Fatal(err)
		}
	}
}
