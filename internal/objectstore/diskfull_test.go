//go:build linux

package objectstore_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A disk that is full keeps the old object, and nothing of the new one.
func TestDiskThatIsFull(t *testing.T) {
	t.Parallel()
	t.Run("no more blocks", func(t *testing.T) {
		t.Parallel()
		cmd := child(t.Context(), t, "TestChildFillsADisk", t.TempDir())
		// A file system of its own, which ends with the process.
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		cmd.Env = append(cmd.Env, fullEnv+"=tmpfs")
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || strings.Contains(string(out), cannotMount) {
			t.Logf("this system gives no name spaces to mount in, so the limit below alone shows it: %v", err)
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
	t.Run("a limit", func(t *testing.T) {
		t.Parallel()
		cmd := child(t.Context(), t, "TestChildFillsADisk", t.TempDir())
		cmd.Env = append(cmd.Env, fullEnv+"=limit")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}

const (
	fullEnv     = "OBJECTSTORE_TEST_FULL"
	cannotMount = "cannot mount"
)

// TestChildFillsADisk is the process of TestDiskThatIsFull. What it may write
// ends in the middle of an object.
func TestChildFillsADisk(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(childEnv)
	switch os.Getenv(fullEnv) {
	case "":
		return
	case "tmpfs":
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
			t.Fatalf("%s: %v", cannotMount, err)
		}
	case "limit":
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100_000, Max: 100_000}); err != nil {
			t.Fatal(err)
		}
	}
	disk := newDisk(t, dir)
	put(t, disk, "a/b.jpg", "old")
	err := disk.Put(t.Context(), "a/b.jpg", "image/jpeg", make([]byte, 1<<20))
	if !noSpace(err) || !strings.Contains(err.Error(), `put "a/b.jpg"`) {
		t.Errorf("the error is %v", err)
	}
	if body, _ := get(t, disk, "a/b.jpg"); body != "old" {
		t.Errorf("the object has %d bytes", len(body))
	}
	if left := temps(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	put(t, disk, "a/b.jpg", "new")
	if os.Getenv(fullEnv) == "tmpfs" {
		filler, err := os.Create(dir + "/filler")
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = filler.Write(make([]byte, 4096))
		}
		if err := disk.Check(t.Context()); !noSpace(err) {
			t.Errorf("a full disk is said to be right: %v", err)
		}
	}
}
