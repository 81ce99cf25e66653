package argonpool_test

import (
	"bytes"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"

	"mana.how/edge/internal/argonpool"
)

// Every use of the memory gives what the library gives, whatever was in it.
func TestIDKeyIsTheLibrarys(t *testing.T) {
	t.Parallel()
	if !argonpool.Linked() {
		t.Error("x/crypto has changed what this package links to: read its argon2.go and adapt fill")
	}
	for _, kib := range []uint32{0, 1, 8, 31, 32, 33, 64, 100, 1024} {
		for _, lanes := range []uint8{1, 2, 3, 4} {
			for _, passes := range []uint32{1, 2, 3} {
				for _, size := range []uint32{1, 32, 64, 65, 100} {
					password, salt := bytes.Repeat([]byte{'p'}, int(size)), []byte{byte(kib), lanes, byte(passes)}
					got, want := argonpool.IDKey(password, salt, passes, kib, lanes, size), argon2.IDKey(password, salt, passes, kib, lanes, size)
					if !bytes.Equal(got, want) {
						t.Errorf("m=%d,t=%d,p=%d, %d bytes: %x, want %x", kib, passes, lanes, size, got, want)
					}
				}
			}
		}
	}
}

func TestIDKeyIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				password, kib := []byte{byte(i), byte(j)}, uint32(64+8*(j%2))
				if got, want := argonpool.IDKey(password, nil, 1, kib, 1, 32), argon2.IDKey(password, nil, 1, kib, 1, 32); !bytes.Equal(got, want) {
					t.Errorf("%x, want %x", got, want)
				}
			}
		})
	}
	wg.Wait()
}

// No password can be read from memory that waits for the next one.
func TestMemoryIsWiped(t *testing.T) {
	for range 100 { // the race detector has the pool drop some
		argonpool.IDKey([]byte("secret"), []byte("salt"), 1, 64, 1, 32)
		waiting := argonpool.Waiting()
		if waiting == nil {
			continue
		}
		for i, b := range waiting {
			for _, v := range b {
				if v != 0 {
					t.Fatalf("block %d is not wiped", i)
				}
			}
		}
		return
	}
	t.Error("no memory is used again")
}

func BenchmarkIDKey(b *testing.B) {
	for name, f := range map[string]func(password, salt []byte, passes, kib uint32, lanes uint8, size uint32) []byte{
		"library": argon2.IDKey, "pooled": argonpool.IDKey,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f([]byte("password"), []byte("0123456789abcdef"), 2, 19456, 1, 32)
			}
		})
	}
}
