package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/objectstore"
)

// storage examines where the pictures of users lie. It makes no directory: it
// would belong to whoever runs the command.
func (d *doctor) storage(s config.Settings) {
	const check = "storage"
	ctx, cancel := context.WithTimeout(d.Ctx, examineLimit)
	defer cancel()
	bucket := s.Storage.Bucket
	if bucket.Endpoint != "" {
		store, err := objectstore.NewS3(bucket)
		if err == nil {
			err = store.Check(ctx)
		}
		if err != nil {
			d.fail(check, "%v; see that endpoint, bucket and keys of `storage` are right, and that the key may list, write and delete there", err)
			return
		}
		d.ok(check, "the bucket %s answers", bucket.Bucket)
		return
	}
	dir := s.Storage.Dir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		d.ok(check, "pictures go to %s, which is made when the first comes; several edges need a bucket", dir)
		return
	}
	if err := checkDirectory(ctx, dir, s.BaseURL.String()); err != nil {
		d.fail(check, "%v; let %s belong to the user of the edge, with space left, and run this command as that user", err, dir)
		return
	}
	d.ok(check, "pictures lie in %s; several edges need a bucket", dir)
}

func checkDirectory(ctx context.Context, dir, base string) error {
	disk, err := objectstore.NewDisk(dir, base+"/files")
	if err != nil {
		return err
	}
	return errors.Join(disk.Check(ctx), disk.Close())
}
