package services

import (
	"context"
	"io"
	"sync"

	"mana.how/edge/caddymodule/api/storage"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/avatar"
	"mana.how/edge/internal/objectstore"
)

// picturesAtOnce bounds the pictures that are decoded at a time: one may take 340
// MB.
const picturesAtOnce = 2

// newPictures is where the pictures of users lie. A bucket fails when it is used; a
// directory is made when the first picture comes.
func newPictures(s config.Settings) (store storage.Store, closer func(), err error) {
	store.Encoder = avatar.NewReencoder(picturesAtOnce)
	if s.Storage.Bucket.Endpoint == "" {
		d := &directory{path: s.Storage.Dir, base: s.BaseURL.String() + "/files"}
		store.Objects = d
		return store, d.close, nil
	}
	store.Objects, err = objectstore.NewS3(s.Storage.Bucket)
	return store, func() {}, err
}

// directory is a store on this machine that is opened when it is first used.
type directory struct {
	path, base string

	mu   sync.Mutex
	disk *objectstore.Disk
}

func (d *directory) open() (*objectstore.Disk, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.disk != nil {
		return d.disk, nil
	}
	disk, err := objectstore.NewDisk(d.path, d.base)
	if err == nil {
		d.disk = disk
	}
	return disk, err
}

func (d *directory) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.disk != nil {
		_ = d.disk.Close()
	}
}

// Put implements [objectstore.Store].
func (d *directory) Put(ctx context.Context, key, contentType string, body []byte) error {
	disk, err := d.open()
	if err != nil {
		return err
	}
	return disk.Put(ctx, key, contentType, body)
}

// Get implements [objectstore.Store].
func (d *directory) Get(ctx context.Context, key string) (io.ReadCloser, objectstore.Info, error) {
	disk, err := d.open()
	if err != nil {
		return nil, objectstore.Info{}, err
	}
	return disk.Get(ctx, key)
}

// Delete implements [objectstore.Store].
func (d *directory) Delete(ctx context.Context, key string) error {
	disk, err := d.open()
	if err != nil {
		return err
	}
	return disk.Delete(ctx, key)
}

// DeletePrefix implements [objectstore.Store].
func (d *directory) DeletePrefix(ctx context.Context, prefix string) (int, error) {
	disk, err := d.open()
	if err != nil {
		return 0, err
	}
	return disk.DeletePrefix(ctx, prefix)
}

// URL implements [objectstore.Store].
func (d *directory) URL(key string) string { return objectstore.Join(d.base, key) }

// Check implements [objectstore.Store].
func (d *directory) Check(ctx context.Context) error {
	disk, err := d.open()
	if err != nil {
		return err
	}
	return disk.Check(ctx)
}
