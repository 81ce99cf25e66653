package objectstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

const (
	// tempDir holds what is being written. No key reaches it.
	tempDir = ".tmp"
	// tempAge is after what time a file in tempDir has lost its writer.
	tempAge = time.Hour
	// maxTries bounds how often something is tried again that others undo
	// meanwhile: Put and DeletePrefix of the same directory.
	maxTries = 100
)

// Disk keeps objects in a directory, each in a file named as its key, readable
// by the user of this process alone. It follows no link that leads out of the
// directory. Several processes may use one directory. Close it.
type Disk struct {
	root *os.Root
	base string
}

// NewDisk opens a directory, which it makes if it is missing, and removes what
// processes that were killed have left unfinished there for an hour. The URL of
// an object is publicBase, a slash, and its key.
func NewDisk(dir, publicBase string) (*Disk, error) {
	if err := checkBase(publicBase); err != nil {
		return nil, fmt.Errorf("objectstore: public URL: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("objectstore: making the directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("objectstore: opening the directory: %w", err)
	}
	d := &Disk{root: root, base: publicBase}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("objectstore: preparing the directory: %w", err), root.Close())
	}
	return d, nil
}

// Close closes the directory. Methods fail from then on.
func (d *Disk) Close() error { return d.root.Close() }

// prepare makes tempDir, and removes from it what is old.
func (d *Disk) prepare() error {
	if err := d.root.MkdirAll(tempDir, 0o700); err != nil {
		return err
	}
	entries, err := fs.ReadDir(d.root.FS(), tempDir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > tempAge {
			err = d.root.Remove(path.Join(tempDir, entry.Name()))
		}
		if err != nil && !missing(err) {
			return err
		}
	}
	return nil
}

// Put implements [Store]. When it returns, the object is on the disk, not in
// memory alone.
func (d *Disk) Put(ctx context.Context, key, contentType string, body []byte) error {
	err := checkObject(key, contentType)
	if err == nil {
		err = d.put(ctx, key, body)
	}
	return failed("put", key, err)
}

func (d *Disk) put(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	temp, err := d.writeTemp(body)
	if err != nil {
		return err
	}
	for range maxTries {
		if err = d.root.MkdirAll(path.Dir(key), 0o700); err == nil {
			err = d.root.Rename(temp, key)
		}
		// A directory that is removed meanwhile is missing, or was there when
		// it was to be made and is gone by the time it is opened.
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return errors.Join(err, d.root.Remove(temp))
	}
	return d.syncUp(path.Dir(key))
}

// writeTemp writes a new file, and returns its name. It leaves none behind when
// it fails.
func (d *Disk) writeTemp(body []byte) (name string, err error) {
	name = path.Join(tempDir, rand.Text())
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return "", errors.Join(err, d.root.Remove(name))
	}
	return name, nil
}

// syncUp writes the names in a directory to the disk, and those of the
// directories above it, which may be new too.
func (d *Disk) syncUp(dir string) error {
	f, err := d.root.Open(dir)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err := ignoreMissing(err); err != nil { // removed meanwhile
		return err
	}
	if dir == "." {
		return nil
	}
	return d.syncUp(path.Dir(dir))
}

// Get implements [Store]. What is not a regular file is not found.
func (d *Disk) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	body, info, err := d.get(ctx, key)
	if err != nil {
		return nil, Info{}, failed("get", key, err)
	}
	return body, info, nil
}

func (d *Disk) get(ctx context.Context, key string) (*os.File, Info, error) {
	if !ValidKey(key) {
		return nil, Info{}, ErrKey
	}
	if err := ctx.Err(); err != nil {
		return nil, Info{}, err
	}
	if err := d.lookUp(key); err != nil {
		return nil, Info{}, err
	}
	f, err := d.root.Open(key)
	if missing(err) {
		return nil, Info{}, ErrNotFound
	}
	if err != nil {
		return nil, Info{}, err
	}
	stat, err := f.Stat()
	if err != nil {
		return nil, Info{}, errors.Join(err, f.Close())
	}
	return f, Info{ContentType: typeOf(key), Size: stat.Size(), ModTime: stat.ModTime()}, nil
}

// Delete implements [Store].
func (d *Disk) Delete(ctx context.Context, key string) error {
	return failed("delete", key, d.delete(ctx, key))
}

func (d *Disk) delete(ctx context.Context, key string) error {
	if !ValidKey(key) {
		return ErrKey
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.lookUp(key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		err = ignoreMissing(d.root.Remove(key))
	}
	if err != nil {
		return err
	}
	return d.syncUp(path.Dir(key))
}

// lookUp fails with [ErrNotFound] unless there is an object: a regular file, no
// directory, link or pipe.
func (d *Disk) lookUp(key string) error {
	info, err := d.root.Lstat(key)
	if missing(err) || err == nil && !info.Mode().IsRegular() {
		return ErrNotFound
	}
	return err
}

// DeletePrefix implements [Store]. It removes the directory too.
func (d *Disk) DeletePrefix(ctx context.Context, prefix string) (int, error) {
	n, err := d.deletePrefix(ctx, prefix)
	return n, failed("delete all of", prefix, err)
}

func (d *Disk) deletePrefix(ctx context.Context, prefix string) (n int, err error) {
	dir, err := parsePrefix(prefix)
	if err != nil {
		return 0, err
	}
	info, err := d.root.Lstat(dir)
	if missing(err) {
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, err
	}
	if !info.IsDir() {
		if info.Mode().IsRegular() {
			return 0, ctx.Err() // an object, not a prefix of any
		}
		return 0, errors.New("is not a directory")
	}
	err = fs.WalkDir(d.root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || entry.IsDir() {
			return ignoreMissing(err)
		}
		err = d.root.Remove(name)
		if err == nil && entry.Type().IsRegular() {
			n++
		}
		return ignoreMissing(err)
	})
	if err != nil {
		return n, err
	}
	err = syscall.ENOTEMPTY
	for try := 0; try < maxTries && errors.Is(err, syscall.ENOTEMPTY); try++ {
		err = d.root.RemoveAll(dir)
	}
	if err != nil {
		return n, err
	}
	return n, d.syncUp(path.Dir(dir))
}

// URL implements [Store].
func (d *Disk) URL(key string) string { return Join(d.base, key) }

// Check implements [Store]: it writes a file and removes it.
func (d *Disk) Check(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		var temp string
		if temp, err = d.writeTemp([]byte("check")); err == nil {
			err = d.root.Remove(temp)
		}
	}
	if err != nil {
		return fmt.Errorf("objectstore: check: %w", err)
	}
	return nil
}

// missing reports whether an error says that there is no such file: neither it
// nor, where a file is in the place of one, a directory above it.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func ignoreMissing(err error) error {
	if missing(err) {
		return nil
	}
	return err
}
