package config

import (
	"path/filepath"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/internal/objectstore"
)

// defaultBucket is that of the replaced service.
const defaultBucket = "manacore-storage"

// Storage is where the pictures of users lie: in a bucket, or in a directory where
// Bucket has no endpoint.
type Storage struct {
	Bucket objectstore.S3Config
	Dir    string
}

// hashable are its fields for the key of the settings.
func (s Storage) hashable() []string {
	b := s.Bucket
	return []string{b.Endpoint, b.Region, b.Bucket, b.AccessKey, b.SecretKey, b.PublicURL, s.Dir}
}

// storage resolves where pictures lie.
func (r *resolver) storage(c *StorageConfig) Storage {
	variables := r.env.Get("S3_ENDPOINT") != "" && r.env.Get("S3_ACCESS_KEY") != ""
	if c == nil && !variables {
		return Storage{Dir: filepath.Join(caddy.AppDataDir(), "mana", "files")}
	}
	if c == nil {
		c = new(StorageConfig)
	}
	s := Storage{Bucket: objectstore.S3Config{
		Endpoint: r.value("storage", c.Endpoint, "S3_ENDPOINT").text, Region: r.value("storage", c.Region, "S3_REGION").text,
		Bucket:    r.value("storage", c.Bucket).or(defaultBucket),
		AccessKey: r.value("storage", c.AccessKey, "S3_ACCESS_KEY").text, SecretKey: r.value("storage", c.SecretKey, "S3_SECRET_KEY").text,
		PublicURL: r.value("storage", c.PublicURL, "MANACORE_STORAGE_PUBLIC_URL").text,
	}}
	if err := s.Bucket.Validate(); err != nil {
		r.fault("storage", "%w", err)
	}
	return s
}
