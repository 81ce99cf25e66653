package objectstore

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// S3Config is how to reach a bucket. Endpoint, Bucket and the two keys are
// required; the rest takes the default named. Printed, logged or as JSON, it
// does not tell the keys.
type S3Config struct {
	Endpoint string // URL of the service, without the bucket: https://s3.example.com
	Region   string // us-east-1
	Bucket   string
	// AccessKey and SecretKey are those of a user that may get, put, delete and
	// list the objects of the bucket.
	AccessKey, SecretKey string
	// PublicURL is what stands before the keys of objects: that of a CDN, say, or
	// of the bucket (the default).
	PublicURL string
	// ACL is the canned ACL of new objects, such as public-read. By default none is
	// sent, and the policy of the bucket must let everybody read: services that
	// know no ACLs, and buckets of AWS made since April 2023, refuse them.
	ACL     string
	Timeout time.Duration  // 15 s, of one operation with its retries; of a thousand deletions
	RootCAs *x509.CertPool // the system's; for services with a certificate of a private authority
}

func (c S3Config) withDefaults() S3Config {
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	if c.PublicURL == "" {
		c.PublicURL = c.Endpoint + "/" + c.Bucket
	}
	return c
}

// Validate reports all that is wrong, each with the name of the field.
func (c S3Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := checkBase(c.Endpoint); err != nil {
		fault("endpoint: %w", err)
	} else if u, err := url.Parse(c.Endpoint); err == nil && strings.Trim(u.Path, "/") != "" {
		fault("endpoint: must not have a path; the bucket is a field of its own")
	}
	if c.Bucket == "" {
		fault("bucket: is missing")
	} else if err := s3utils.CheckValidBucketNameStrict(c.Bucket); err != nil {
		fault("bucket: %w", err)
	}
	if c.AccessKey == "" {
		fault("access_key: is missing")
	}
	if c.SecretKey == "" {
		fault("secret_key: is missing")
	}
	if strings.ContainsFunc(c.AccessKey, unprintable) || strings.ContainsFunc(c.SecretKey, unprintable) {
		fault("access_key, secret_key: must be printable ASCII without spaces")
	}
	if c.PublicURL != "" {
		if err := checkBase(c.PublicURL); err != nil {
			fault("public_url: %w", err)
		}
	}
	switch c.ACL {
	case "", "private", "public-read", "bucket-owner-full-control":
	default:
		fault("acl: %q is none of private, public-read, bucket-owner-full-control", c.ACL)
	}
	if c.Timeout < 0 {
		fault("timeout: is negative")
	}
	return errors.Join(faults...)
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }

// redacted is what may be told of a configuration.
type redacted struct {
	Endpoint, Region, Bucket, AccessKey, SecretKey, PublicURL, ACL string
	Timeout                                                        time.Duration
}

func (c S3Config) redacted() redacted {
	hide := func(key string) string {
		if key == "" {
			return ""
		}
		return "REDACTED"
	}
	return redacted{
		hidePassword(c.Endpoint), c.Region, c.Bucket, hide(c.AccessKey), hide(c.SecretKey),
		hidePassword(c.PublicURL), c.ACL, c.Timeout,
	}
}

// hidePassword takes the password out of a URL, which may not be valid.
func hidePassword(raw string) string {
	if at := strings.LastIndexByte(raw, '@'); at >= 0 {
		return "REDACTED" + raw[at:]
	}
	return raw
}

// Format prints all but the keys, with every verb.
func (c S3Config) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%+v", c.redacted()) }

// MarshalJSON is all but the keys.
func (c S3Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.redacted()) }

// LogValue is all but the keys.
func (c S3Config) LogValue() slog.Value { return slog.AnyValue(c.redacted()) }

// Interface guards
var (
	_ fmt.Formatter  = S3Config{}
	_ json.Marshaler = S3Config{}
	_ slog.LogValuer = S3Config{}
)
