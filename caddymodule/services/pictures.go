package services

import (
	"io"
	"log/slog"

	"mana.how/edge/caddymodule/api/storage"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/avatar"
	"mana.how/edge/internal/objectstore"
)

// picturesAtOnce bounds the pictures that are decoded at a time: one may take 330
// MB.
const picturesAtOnce = 2

// openPictures opens the place where pictures lie. Without one, everything else
// works.
func openPictures(s config.Settings, log *slog.Logger) (storage.Store, io.Closer) {
	store := storage.Store{Encoder: avatar.NewReencoder(picturesAtOnce)}
	if s.Storage.Bucket.Endpoint != "" {
		bucket, err := objectstore.NewS3(s.Storage.Bucket)
		if err != nil {
			log.Error("open the storage of pictures: none can be uploaded", "error", err)
			return store, nil
		}
		store.Objects = bucket
		return store, nil
	}
	disk, err := objectstore.NewDisk(s.Storage.Dir, s.BaseURL.String()+"/files")
	if err != nil {
		log.Warn("open the directory of pictures: none can be uploaded", "error", err)
		return store, nil
	}
	store.Objects = disk
	return store, disk
}
