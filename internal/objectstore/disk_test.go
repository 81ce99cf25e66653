package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mana.how/edge/internal/objectstore"
)

func TestNewDiskRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const base = "https://edge.test/files"
	for _, c := range []struct{ dir, base, want string }{
		{"", base, "directory"},
		{file, base, "directory"},
		{filepath.Join(file, "below"), base, "directory"},
		{t.TempDir(), "", "public URL"},
		{t.TempDir(), "/files", "public URL"},
		{t.TempDir(), "ftp://edge.test/files", "public URL"},
		{t.TempDir(), "https:///files", "public URL"},
		{t.TempDir(), base + "?a=b", "public URL"},
		{t.TempDir(), base + "?", "public URL"},
		{t.TempDir(), base + "#a", "public URL"},
		{t.TempDir(), "https://me:hidden@edge.test/files", "public URL"},
		{t.TempDir(), "https://edge.test/%zzhidden", "public URL"},
	} {
		_, err := objectstore.NewDisk(c.dir, c.base)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q, %q: %v", c.dir, c.base, err)
		}
	}
}

func TestDiskIsForItsUserAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "files")
	disk := newDisk(t, dir)
	put(t, disk, "avatars/u/1.jpg", "x")
	for name, want := range map[string]fs.FileMode{
		".": fs.ModeDir | 0o700, ".tmp": fs.ModeDir | 0o700, "avatars": fs.ModeDir | 0o700, "avatars/u": fs.ModeDir | 0o700, "avatars/u/1.jpg": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s: %v, want %v", name, info.Mode(), want)
		}
	}
	if left := temps(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// temps are the files of objects that are being written.
func temps(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, ".tmp"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestDiskFollowsNoLinkOut(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret.jpg")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	disk := newDisk(t, dir)
	put(t, disk, "avatars/u/1.jpg", "inside")
	for link, to := range map[string]string{
		"avatars/out": outside, "avatars/up": "../..", "avatars/u/link.jpg": secret, "avatars/u/inner.jpg": "1.jpg", "avatars/none": filepath.Join(outside, "none"),
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "avatars/u/pipe.jpg"), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, key := range []string{"avatars/u/link.jpg", "avatars/u/inner.jpg", "avatars/u/pipe.jpg"} {
		gone(t, disk, key)
		if err := disk.Delete(t.Context(), key); err != nil {
			t.Errorf("deleting %s: %v", key, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, key)); err != nil {
			t.Errorf("%s was no object, and is deleted: %v", key, err)
		}
	}
	for _, key := range []string{"avatars/out/secret.jpg", "avatars/up/secret.jpg", "avatars/none/a.jpg"} {
		if _, _, err := disk.Get(t.Context(), key); err == nil {
			t.Errorf("got %s", key)
		}
		if err := disk.Put(t.Context(), key, "image/jpeg", []byte("x")); err == nil {
			t.Errorf("put %s", key)
		}
		if err := disk.Delete(t.Context(), key); err == nil {
			t.Errorf("deleted %s", key)
		}
	}
	for _, prefix := range []string{"avatars/out", "avatars/up", "avatars/out/sub"} {
		if _, err := disk.DeletePrefix(t.Context(), prefix); err == nil && prefix != "avatars/out/sub" {
			t.Errorf("deleted all of %s", prefix)
		}
	}
	// A link in the place of an object is replaced, not followed.
	put(t, disk, "avatars/u/link.jpg", "new")
	if n, err := disk.DeletePrefix(t.Context(), "avatars"); n != 2 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	if got, err := os.ReadFile(secret); string(got) != "secret" || err != nil {
		t.Errorf("outside: %q, %v", got, err)
	}
	if entries, err := os.ReadDir(outside); len(entries) != 1 || err != nil {
		t.Errorf("outside: %v, %v", entries, err)
	}
	if left := temps(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNewDiskRemovesWhatIsUnfinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newDisk(t, dir)
	for name, age := range map[string]time.Duration{"lost": 2 * time.Hour, "writing": time.Minute} {
		name = filepath.Join(dir, ".tmp", name)
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	newDisk(t, dir)
	if left := temps(t, dir); len(left) != 1 || left[0] != "writing" {
		t.Errorf("left are %v", left)
	}
}

func TestDiskThatIsGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	disk := newDisk(t, dir)
	put(t, disk, "a.jpg", "a")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	gone(t, disk, "a.jpg")
	if err := disk.Put(t.Context(), "b.jpg", "image/jpeg", nil); err == nil {
		t.Error("put into a directory that is gone")
	}
	if err := disk.Check(t.Context()); err == nil {
		t.Error("a directory that is gone is said to be right")
	}

	closed := newDisk(t, t.TempDir())
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := closed.Check(t.Context()); err == nil {
		t.Error("a closed directory is said to be right")
	}
}

// childEnv has the test binary be a process that a test may kill or confine.
const childEnv = "OBJECTSTORE_TEST_DIR"

func child(ctx context.Context, t *testing.T, test, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, exe, "-test.run", "^"+test+"$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// A process that is killed at any moment leaves the old object or the new one.
func TestDiskSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := newDisk(t, dir)
	put(t, disk, "a/b.jpg", string(killBody('a')))
	for i := range 15 {
		before := len(temps(t, dir))
		cmd := child(t.Context(), t, "TestChildPuts", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); len(temps(t, dir)) == before && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(i) * 2 * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatalf("it ended by itself: %v", err)
		}
		_ = cmd.Wait() // it was killed
		body, _ := get(t, disk, "a/b.jpg")
		if !bytes.Equal([]byte(body), killBody(body[0])) {
			t.Fatalf("%d bytes, not of one object", len(body))
		}
	}
	if len(temps(t, dir)) == 0 {
		t.Error("none of 15 processes was killed while it wrote")
	}
}

// killBody is an object that takes long enough to write.
func killBody(c byte) []byte { return bytes.Repeat([]byte{c}, 4<<20) }

// TestChildPuts is the process of TestDiskSurvivesAKill.
func TestChildPuts(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	disk := newDisk(t, dir)
	for c := byte('a'); ; c = 'a' + (c+1-'a')%26 {
		if err := disk.Put(t.Context(), "a/b.jpg", "image/jpeg", killBody(c)); err != nil {
			t.Fatal(err)
		}
	}
}

func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EFBIG) }
