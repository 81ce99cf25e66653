package avatar_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/internal/avatar"
)

func TestReencoderDecodesSoManyAtOnce(t *testing.T) {
	t.Parallel()
	e := avatar.NewReencoder(2)
	release := e.Hold()
	picture := encodePNG(t, quarters(32, 32))
	if _, err := e.Reencode(t.Context(), bytes.NewReader(picture)); err != nil {
		t.Errorf("with a slot left: %v", err)
	}
	releaseOther := e.Hold()

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Reencode(ctx, bytes.NewReader(picture)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with no slot left: %v", err)
	}
	// What is refused by its header waits for nobody.
	if _, err := e.Reencode(t.Context(), bytes.NewReader(pngClaiming(100_000, 100_000, 8, 2, 0))); !errors.Is(err, avatar.ErrTooManyPixels) {
		t.Errorf("a bomb with no slot left: %v", err)
	}

	var waiting sync.WaitGroup
	var made atomic.Int32
	for range 10 {
		waiting.Go(func() {
			if _, err := e.Reencode(t.Context(), bytes.NewReader(picture)); err == nil {
				made.Add(1)
			}
		})
	}
	release()
	releaseOther()
	waiting.Wait()
	if made.Load() != 10 {
		t.Errorf("%d of 10 were made once there was a slot", made.Load())
	}
	e.Hold()
	e.Hold()() // both slots are free again
}

func TestReencoderHasASlotAtLeast(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0} {
		if _, err := avatar.NewReencoder(n).Reencode(t.Context(), bytes.NewReader(encodePNG(t, quarters(2, 2)))); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestReencoderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	picture := encodePNG(t, quarters(32, 32))
	if _, err := avatar.NewReencoder(1).Reencode(ctx, bytes.NewReader(picture)); !errors.Is(err, context.Canceled) {
		t.Errorf("of a context that has ended: %v", err)
	}

	// The context ends when the decoder has read some of the picture.
	upload := jpegOfScans(1024, 50)
	upload = append(append(upload[:2:2], bytes.Repeat(segment(0xfe, make([]byte, 8192)...), 8)...), upload[2:]...)
	during := &endingContext{Context: t.Context(), after: 5}
	if _, err := avatar.NewReencoder(1).Reencode(during, bytes.NewReader(upload)); !errors.Is(err, context.Canceled) || errors.Is(err, avatar.ErrBroken) {
		t.Errorf("of a context that ends while it decodes: %v", err)
	}
}

// endingContext ends when it was asked so often whether it has.
type endingContext struct {
	context.Context
	after int32
	asked atomic.Int32
}

func (c *endingContext) Err() error {
	if c.asked.Add(1) > c.after {
		return context.Canceled
	}
	return nil
}
