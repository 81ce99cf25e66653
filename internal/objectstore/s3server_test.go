package objectstore_test

import (
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/internal/objectstore"
)

const (
	testBucket = "pictures"
	testRegion = "eu-central-1"
	accessKey  = "AKIA-TEST-ACCESS"
	secretKey  = "test+secret/with=signs"
)

// s3Object is an object with the headers it was put with.
type s3Object struct {
	body   []byte
	header http.Header
	mod    time.Time
}

// s3Server is one bucket of a service that speaks as much of S3 as the store
// uses. It takes no request whose Signature Version 4 is not right.
type s3Server struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	objects  map[string]s3Object
	requests []string                                                       // method and path with query
	trouble  func(w http.ResponseWriter, r *http.Request, attempt int) bool // reports whether it answered
}

func newS3Server(t *testing.T) *s3Server {
	s := &s3Server{t: t, objects: map[string]s3Object{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *s3Server) config() objectstore.S3Config {
	return objectstore.S3Config{
		Endpoint: s.URL, Region: testRegion, Bucket: testBucket,
		AccessKey: accessKey, SecretKey: secretKey, PublicURL: "https://cdn.test/p", Timeout: 10 * time.Second,
	}
}

// seen is how many requests have come.
func (s *s3Server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *s3Server) get(key string) (s3Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object, ok := s.objects[key]
	return object, ok
}

func (s *s3Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	attempt, trouble := len(s.requests), s.trouble
	s.mu.Unlock()
	if trouble != nil && trouble(w, r, attempt) {
		return
	}
	if code := checkSignature(r, body); code != "" {
		s3Error(w, http.StatusForbidden, code, "the signature is not right: "+code)
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	object, exists := s.objects[key]
	switch {
	case bucket != testBucket:
		s3Error(w, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	case r.Method == http.MethodGet && key == "" && query.Get("list-type") == "2":
		s.list(w, query)
	case r.Method == http.MethodPost && key == "" && query.Has("delete"):
		s.deleteAll(w, r, body)
	case key == "":
		s3Error(w, http.StatusNotImplemented, "NotImplemented", r.Method+" "+r.URL.String())
	case r.Method == http.MethodPut:
		s.objects[key] = s3Object{body, r.Header.Clone(), time.Now().UTC()}
		w.Header().Set("ETag", etag(body))
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case !exists:
		s3Error(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	default:
		w.Header().Set("Content-Type", object.header.Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(len(object.body)))
		w.Header().Set("Last-Modified", object.mod.Format(http.TimeFormat))
		w.Header().Set("ETag", etag(object.body))
		_, _ = w.Write(object.body)
	}
}

func etag(body []byte) string { return fmt.Sprintf(`"%x"`, md5.Sum(body)) }

func s3Error(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
}

// list answers ListObjectsV2.
func (s *s3Server) list(w http.ResponseWriter, query url.Values) {
	type content struct {
		Key          string
		LastModified string
		ETag         string
		Size         int
	}
	var result struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		Name, Prefix          string
		KeyCount, MaxKeys     int
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	most, _ := strconv.Atoi(query.Get("max-keys"))
	most = min(cmp.Or(most, 1000), 1000)
	after := cmp.Or(query.Get("continuation-token"), query.Get("start-after"))
	var keys []string
	for key := range s.objects {
		if strings.HasPrefix(key, query.Get("prefix")) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if result.IsTruncated = len(keys) > most; result.IsTruncated {
		keys = keys[:most]
		result.NextContinuationToken = keys[most-1]
	}
	result.Name, result.Prefix, result.MaxKeys, result.KeyCount = testBucket, query.Get("prefix"), most, len(keys)
	for _, key := range keys {
		o := s.objects[key]
		result.Contents = append(result.Contents, content{key, o.mod.Format(time.RFC3339), etag(o.body), len(o.body)})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(result)
}

// deleteAll answers DeleteObjects. Keys with "locked" are refused, and those with
// "ghost" are there again at once.
func (s *s3Server) deleteAll(w http.ResponseWriter, r *http.Request, body []byte) {
	var request struct {
		Object []struct{ Key string }
	}
	sum := md5.Sum(body)
	if err := xml.Unmarshal(body, &request); err != nil || len(request.Object) > 1000 ||
		r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
		s3Error(w, http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed")
		return
	}
	type deleted struct{ Key string }
	type refused struct{ Key, Code, Message string }
	var result struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Deleted []deleted
		Error   []refused
	}
	for _, o := range request.Object {
		if strings.Contains(o.Key, "locked") {
			result.Error = append(result.Error, refused{o.Key, "AccessDenied", "Access Denied"})
			continue
		}
		if !strings.Contains(o.Key, "ghost") {
			delete(s.objects, o.Key)
		}
		result.Deleted = append(result.Deleted, deleted{o.Key})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(result)
}

// checkSignature verifies AWS Signature Version 4 with the Authorization header,
// and returns the error code of S3 if it is not right.
func checkSignature(r *http.Request, body []byte) string {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "AccessDenied"
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return "RequestTimeTooSkewed"
	}
	scope := date[:8] + "/" + testRegion + "/s3/aws4_request"
	key, gotScope, _ := strings.Cut(fields["Credential"], "/")
	if key != accessKey {
		return "InvalidAccessKeyId"
	}
	if gotScope != scope {
		return "AuthorizationHeaderMalformed"
	}
	sum := sha256.Sum256(body)
	if r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
		return "XAmzContentSHA256Mismatch"
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n" + strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20") + "\n"
	for name := range strings.SplitSeq(fields["SignedHeaders"], ";") {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		canonical += name + ":" + strings.TrimSpace(value) + "\n"
	}
	for name := range r.Header { // what S3 wants to be signed
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(strings.Split(fields["SignedHeaders"], ";"), lower) {
			return "AccessDenied"
		}
	}
	canonical += "\n" + fields["SignedHeaders"] + "\n" + hex.EncodeToString(sum[:])
	hashed := sha256.Sum256([]byte(canonical))
	toSign := "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(hashed[:])
	signing := []byte("AWS4" + secretKey)
	for _, part := range []string{date[:8], testRegion, "s3", "aws4_request", toSign} {
		mac := hmac.New(sha256.New, signing)
		mac.Write([]byte(part))
		signing = mac.Sum(nil)
	}
	if !hmac.Equal([]byte(fields["Signature"]), []byte(hex.EncodeToString(signing))) {
		return "SignatureDoesNotMatch"
	}
	return ""
}
