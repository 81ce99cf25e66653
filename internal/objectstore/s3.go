package objectstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// s3Tries is how often a request is sent that fails in a way that may pass.
	s3Tries = 3
	// pageSize is how many objects are listed and deleted at once; S3 takes 1000.
	pageSize = 1000
)

// S3 keeps objects in a bucket of a service that speaks the protocol of Amazon
// S3, signed by Signature Version 4. In a bucket with versions, what is deleted
// is hidden, and kept as an old version until a rule of the bucket removes it.
type S3 struct {
	core    minio.Core
	bucket  string
	base    string
	acl     string
	timeout time.Duration
}

// NewS3 makes the client of a bucket. It sends nothing yet.
func NewS3(cfg S3Config) (*S3, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("objectstore: S3: %w", err)
	}
	cfg = cfg.withDefaults()
	endpoint, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, errors.New("objectstore: S3: endpoint: is no URL")
	}
	core, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:      credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""),
		Secure:     endpoint.Scheme == "https",
		Region:     cfg.Region,
		Transport:  transport(cfg),
		MaxRetries: s3Tries,
	})
	if err != nil {
		return nil, fmt.Errorf("objectstore: S3: endpoint: %w", err)
	}
	return &S3{core: *core, bucket: cfg.Bucket, base: cfg.PublicURL, acl: cfg.ACL, timeout: cfg.Timeout}, nil
}

func transport(cfg S3Config) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // objects are to arrive as they are
	}
}

// Put implements [Store].
func (s *S3) Put(ctx context.Context, key, contentType string, body []byte) error {
	if err := checkObject(key, contentType); err != nil {
		return s.failed("put", key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	opts := minio.PutObjectOptions{
		ContentType:  contentType,
		CacheControl: CacheControl,
		// The sum of the whole is signed in place of those of chunks, a form that
		// not every service takes.
		DisableContentSha256: true,
	}
	if s.acl != "" {
		opts.UserMetadata = map[string]string{"x-amz-acl": s.acl}
	}
	sum := sha256.Sum256(body)
	_, err := s.core.PutObject(ctx, s.bucket, key, bytes.NewReader(body), int64(len(body)), "", hex.EncodeToString(sum[:]), opts)
	return s.failed("put", key, err)
}

// Get implements [Store]. The body is to be read within [S3Config.Timeout].
func (s *S3) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	if !ValidKey(key) {
		return nil, Info{}, s.failed("get", key, ErrKey)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	body, info, _, err := s.core.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		cancel()
		return nil, Info{}, s.failed("get", key, err)
	}
	return &bodyOf{body, cancel}, Info{ContentType: info.ContentType, Size: info.Size, ModTime: info.LastModified}, nil
}

// bodyOf is a body whose context ends when it is closed.
type bodyOf struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *bodyOf) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// Delete implements [Store].
func (s *S3) Delete(ctx context.Context, key string) error {
	if !ValidKey(key) {
		return s.failed("delete", key, ErrKey)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.failed("delete", key, s.core.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}))
	if errors.Is(err, ErrNotFound) {
		return nil // some services say so, most do not
	}
	return err
}

// DeletePrefix implements [Store].
func (s *S3) DeletePrefix(ctx context.Context, prefix string) (int, error) {
	dir, err := parsePrefix(prefix)
	if err != nil {
		return 0, s.failed("delete all of", prefix, err)
	}
	deleted, after := 0, ""
	for {
		n, last, err := s.deletePage(ctx, dir+"/", after)
		deleted += n
		if err != nil || last == "" {
			return deleted, s.failed("delete all of", prefix, err)
		}
		after = last
	}
}

// deletePage deletes the first objects of a prefix that come after a key. It
// returns how many, and the last key of them, which is empty where there is no
// object.
func (s *S3) deletePage(ctx context.Context, prefix, after string) (n int, last string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var page []minio.ObjectInfo
	for object, err := range s.list(ctx, prefix, after, pageSize) {
		if err != nil {
			return 0, "", err
		}
		if page = append(page, object); len(page) == pageSize {
			break
		}
	}
	if len(page) == 0 {
		return 0, "", nil
	}
	results, err := s.core.RemoveObjectsWithIter(ctx, s.bucket, slices.Values(page), minio.RemoveObjectsOptions{})
	if err != nil {
		return 0, "", err
	}
	for result := range results {
		switch {
		case result.Err == nil:
			n++
		case err == nil:
			err = result.Err // the first one tells enough
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return n, page[len(page)-1].Key, err
}

// list yields objects in the order of their keys, and at the end an error.
func (s *S3) list(ctx context.Context, prefix, after string, page int) iter.Seq2[minio.ObjectInfo, error] {
	return func(yield func(minio.ObjectInfo, error) bool) {
		opts := minio.ListObjectsOptions{Prefix: prefix, Recursive: true, StartAfter: after, MaxKeys: page}
		for object := range s.core.ListObjectsIter(ctx, s.bucket, opts) {
			if !yield(object, object.Err) || object.Err != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(minio.ObjectInfo{}, err)
		}
	}
}

// URL implements [Store].
func (s *S3) URL(key string) string { return Join(s.base, key) }

// Check implements [Store]: it asks for the first object, by which it proves the
// address, the keys, the bucket and the right to list.
func (s *S3) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for _, err := range s.list(ctx, "", "", 1) {
		return s.failed("check", "", err)
	}
	return nil
}

// Format prints the bucket and where it is, with every verb.
func (s *S3) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "S3 bucket %s at %s", s.bucket, s.core.EndpointURL().Host)
}

// failed names what failed, with the code of S3 where it told one.
func (s *S3) failed(operation, key string, err error) error {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		switch {
		case answer.Code == minio.NoSuchKey:
			err = ErrNotFound
		case answer.Code != "" && !strings.Contains(answer.Error(), answer.Code):
			err = fmt.Errorf("%s: %w", answer.Code, err)
		}
	}
	return failed(operation, s.bucket+"/"+key, err)
}

// Interface guards
var (
	_ Store         = (*Disk)(nil)
	_ Store         = (*S3)(nil)
	_ fmt.Formatter = (*S3)(nil)
)
