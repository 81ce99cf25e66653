package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/internal/objectstore"
)

// both runs a test with each kind of store.
func both(t *testing.T, test func(t *testing.T, store objectstore.Store)) {
	t.Parallel()
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		test(t, newDisk(t, t.TempDir()))
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		test(t, newS3(t, newS3Server(t).config()))
	})
}

func newDisk(t testing.TB, dir string) *objectstore.Disk {
	t.Helper()
	disk, err := objectstore.NewDisk(dir, "https://edge.test/files/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	return disk
}

func newS3(t testing.TB, cfg objectstore.S3Config) *objectstore.S3 {
	t.Helper()
	s3, err := objectstore.NewS3(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s3
}

func put(t testing.TB, store objectstore.Store, key, body string) {
	t.Helper()
	if err := store.Put(t.Context(), key, "image/jpeg", []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, store objectstore.Store, key string) (string, objectstore.Info) {
	t.Helper()
	body, info, err := store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	all, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(all), info
}

func gone(t testing.TB, store objectstore.Store, key string) {
	t.Helper()
	if _, _, err := store.Get(t.Context(), key); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("%s: %v, want %v", key, err, objectstore.ErrNotFound)
	}
}

func TestStoreKeepsObjects(t *testing.T) {
	both(t, func(t *testing.T, store objectstore.Store) {
		if err := store.Check(t.Context()); err != nil {
			t.Error(err)
		}
		for key, kind := range map[string]string{
			"avatars/u-1/1700000000000.jpg": "image/jpeg", "a.jpeg": "image/jpeg", "a_b/C.png": "image/png", "x/y/z/0.gif": "image/gif", "x/1..2.webp": "image/webp",
		} {
			body := strings.Repeat(key, 1000)
			if err := store.Put(t.Context(), key, kind, []byte(body)); err != nil {
				t.Fatal(err)
			}
			got, info := get(t, store, key)
			if got != body || info.ContentType != kind || info.Size != int64(len(body)) {
				t.Errorf("%s: %d bytes, %+v", key, len(got), info)
			}
			if age := time.Since(info.ModTime); age < -2*time.Second || age > time.Minute {
				t.Errorf("%s: made %v ago", key, age)
			}
			if url := store.URL(key); !strings.HasPrefix(url, "https://") || !strings.HasSuffix(url, "/"+key) || strings.Contains(url[8:], "//") {
				t.Errorf("%s: its URL is %s", key, url)
			}
		}
		put(t, store, "a.jpeg", "another")
		if got, _ := get(t, store, "a.jpeg"); got != "another" {
			t.Errorf("after it was replaced: %q", got)
		}
		gone(t, store, "a")
		gone(t, store, "x/y")
		gone(t, store, "a.jpeg/b.jpg")

		for _, key := range []string{"a.jpeg", "a.jpeg", "never/was.jpg", "x/y", "x", "a_b/C.png/no.jpg"} {
			if err := store.Delete(t.Context(), key); err != nil {
				t.Errorf("deleting %s: %v", key, err)
			}
		}
		gone(t, store, "a.jpeg")
		get(t, store, "x/y/z/0.gif")
	})
}

func TestStoreRefusesKeys(t *testing.T) {
	both(t, func(t *testing.T, store objectstore.Store) {
		for _, key := range []string{
			"", "/", "/a.jpg", "a//b.jpg", "a/", ".", "..", "../a.jpg", "a/../../b.jpg", "a/./b.jpg", ".a.jpg", "a/.b.jpg", ".tmp/a.jpg",
			`a\b.jpg`, `..\a.jpg`, "a b.jpg", "a%2fb.jpg", "a?b.jpg", "a#b.jpg", "ä.jpg", "a\x00.jpg", "a\n.jpg", "C:a.jpg", "a:b.jpg", "a*.jpg", "a+b.jpg", "~/a.jpg",
			strings.Repeat("a", 252) + ".jpg", strings.Repeat("a/", 255) + "a.jpg",
		} {
			if err := store.Put(t.Context(), key, "image/jpeg", nil); !errors.Is(err, objectstore.ErrKey) {
				t.Errorf("put %q: %v", key, err)
			}
			if _, _, err := store.Get(t.Context(), key); !errors.Is(err, objectstore.ErrKey) {
				t.Errorf("get %q: %v", key, err)
			}
			if err := store.Delete(t.Context(), key); !errors.Is(err, objectstore.ErrKey) {
				t.Errorf("delete %q: %v", key, err)
			}
			if key != "a/" {
				if _, err := store.DeletePrefix(t.Context(), key); !errors.Is(err, objectstore.ErrKey) {
					t.Errorf("delete all of %q: %v", key, err)
				}
			}
			if url := store.URL(key); url != "" {
				t.Errorf("the URL of %q: %s", key, url)
			}
		}
		long := strings.Repeat("a/", 100) + strings.Repeat("b", 251) + ".jpg"
		put(t, store, long, "long")
		if got, _ := get(t, store, long); got != "long" {
			t.Errorf("of a long key: %q", got)
		}
	})
}

func TestStoreTakesPicturesAlone(t *testing.T) {
	both(t, func(t *testing.T, store objectstore.Store) {
		for key, kind := range map[string]string{
			"a.svg": "image/svg+xml", "a.html": "text/html", "a": "image/png", "a.jpg": "text/html", "b.png": "image/jpeg", "c.png": "", "d.PNG": "image/png", "e.": "",
		} {
			if err := store.Put(t.Context(), key, kind, []byte("<script>")); !errors.Is(err, objectstore.ErrType) {
				t.Errorf("%s as %q: %v", key, kind, err)
			}
			gone(t, store, key)
		}
	})
}

func TestStoreDeletesAllOfAPrefix(t *testing.T) {
	both(t, func(t *testing.T, store objectstore.Store) {
		const many = 1500
		var putting sync.WaitGroup
		for part := range 4 {
			putting.Go(func() {
				for i := part; i < many; i += 4 {
					if err := store.Put(t.Context(), fmt.Sprintf("avatars/u1/%d/%d.jpg", i%7, i), "image/jpeg", []byte("x")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		putting.Wait()
		kept := []string{"avatars/u10/1.jpg", "avatars/u1.jpg", "avatars/u/1.jpg", "avatars/U1/1.jpg", "u1/1.jpg"}
		for _, key := range kept {
			put(t, store, key, "kept")
		}

		if n, err := store.DeletePrefix(t.Context(), "avatars/u1"); n != many || err != nil {
			t.Errorf("%d deleted, %v", n, err)
		}
		gone(t, store, "avatars/u1/0/0.jpg")
		gone(t, store, "avatars/u1/1/1499.jpg")
		for _, key := range kept {
			get(t, store, key)
		}
		// Nothing is left to delete; what is an object is no prefix.
		for _, prefix := range []string{"avatars/u1", "avatars/u1/", "never", "avatars/u1.jpg", "avatars/u1.jpg/more"} {
			if n, err := store.DeletePrefix(t.Context(), prefix); n != 0 || err != nil {
				t.Errorf("%s: %d deleted, %v", prefix, n, err)
			}
		}
		for _, key := range kept {
			get(t, store, key)
		}
		put(t, store, "avatars/u1/again.jpg", "again")
		if n, err := store.DeletePrefix(t.Context(), "avatars/u1/"); n != 1 || err != nil {
			t.Errorf("with a slash: %d deleted, %v", n, err)
		}
	})
}

// Whoever reads while others write sees one of the objects whole.
func TestStorePutsWhole(t *testing.T) {
	both(t, func(t *testing.T, store objectstore.Store) {
		bodies := map[string]bool{}
		var putting sync.WaitGroup
		for i := range 4 {
			body := strings.Repeat(string(rune('a'+i)), 200_000+i*50_000)
			bodies[body] = true
			if i == 0 {
				put(t, store, "a/b.jpg", body)
			}
			putting.Go(func() {
				for range 10 {
					if err := store.Put(t.Context(), "a/b.jpg", "image/jpeg", []byte(body)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { putting.Wait(); close(done) }()
		for reading := true; reading; {
			select {
			case <-done:
				reading = false
			default:
			}
			if body, _ := get(t, store, "a/b.jpg"); !bodies[body] {
				t.Fatalf("%d bytes that nobody put: %.20q", len(body), body)
			}
		}
	})
}

// A user's objects may be deleted while they put another one.
func TestStorePutsWhileAllIsDeleted(t *testing.T) {
	both(t, func(t *testing.T, store objectstore.Store) {
		var both sync.WaitGroup
		done := make(chan struct{})
		both.Go(func() {
			defer close(done)
			for range 100 {
				if err := store.Put(t.Context(), "u/1/a.jpg", "image/jpeg", []byte("a")); err != nil {
					t.Error(err)
				}
			}
		})
		both.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := store.DeletePrefix(t.Context(), "u"); err != nil {
					t.Error(err)
				}
			}
		})
		both.Wait()
		put(t, store, "u/1/a.jpg", "b")
		if body, _ := get(t, store, "u/1/a.jpg"); body != "b" {
			t.Errorf("at the end: %q", body)
		}
	})
}

func TestStoreEndsWithItsContext(t *testing.T) {
	both(t, func(t *testing.T, store objectstore.Store) {
		put(t, store, "a/b.jpg", "b")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, prefixErr := store.DeletePrefix(ctx, "a")
		_, nonePrefixErr := store.DeletePrefix(ctx, "none")
		_, _, getErr := store.Get(ctx, "a/b.jpg")
		for operation, err := range map[string]error{
			"put": store.Put(ctx, "a/b.jpg", "image/jpeg", []byte("c")), "get": getErr, "delete": store.Delete(ctx, "a/b.jpg"),
			"delete all": prefixErr, "delete all of none": nonePrefixErr, "check": store.Check(ctx),
		} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", operation, err)
			}
		}
		if body, _ := get(t, store, "a/b.jpg"); body != "b" {
			t.Errorf("at the end: %q", body)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, key := range []string{"a/b.jpg", "../a.jpg", "a/.b.jpg", "a//b", "\x00", ".tmp/x.jpg"} {
		f.Add(key)
	}
	disk := newDisk(f, f.TempDir())
	f.Fuzz(func(t *testing.T, key string) {
		err := disk.Put(t.Context(), key+".jpg", "image/jpeg", []byte(key))
		if objectstore.ValidKey(key+".jpg") != !errors.Is(err, objectstore.ErrKey) {
			t.Fatalf("%q: %v", key, err)
		}
		if err != nil {
			return
		}
		body, _, err := disk.Get(t.Context(), key+".jpg")
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if all, err := io.ReadAll(body); err != nil || !bytes.Equal(all, []byte(key)) {
			t.Fatalf("%q, %v", all, err)
		}
	})
}
