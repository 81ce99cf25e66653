package eventsink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Sink takes a batch of events, each a line of JSON with its line feed. Where it
// fails the whole batch comes again.
type Sink interface {
	Write(ctx context.Context, lines []byte) error
}

// Stream writes to what is open, such as the standard output.
type Stream struct{ Writer io.Writer }

// Write implements [Sink].
func (s Stream) Write(_ context.Context, lines []byte) error {
	_, err := s.Writer.Write(lines)
	return err
}

// File appends to a file, which is opened for each batch, so that it can be
// rotated by renaming it. It is made for its owner alone.
type File struct{ Path string }

// Write implements [Sink].
func (f File) Write(_ context.Context, lines []byte) error {
	file, err := os.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(lines)
	return errors.Join(err, file.Sync(), file.Close())
}

// Webhook posts each batch as application/x-ndjson. The header Mana-Signature is
// "t=<Unix seconds>,v1=<hex>", where v1 is the HMAC-SHA256 of t, a full stop and
// the body under the secret. Answers other than 2xx are failures; redirects are
// not followed.
type Webhook struct {
	URL    string
	Secret []byte
	Client *http.Client
	Now    func() time.Time
}

// webhookWait bounds one request.
const webhookWait = 10 * time.Second

// NewWebhook posts to an address.
func NewWebhook(address string, secret []byte) Webhook {
	return Webhook{URL: address, Secret: secret, Now: time.Now, Client: &http.Client{
		Timeout:       webhookWait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Write implements [Sink].
func (w Webhook) Write(ctx context.Context, lines []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(lines))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("User-Agent", "mana-edge")
	request.Header.Set("Mana-Signature", Signature(w.Secret, w.Now(), lines))
	resp, err := w.Client.Do(request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver of events answers %d", resp.StatusCode)
	}
	return nil
}

// Signature is the value of Mana-Signature for a body.
func Signature(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
