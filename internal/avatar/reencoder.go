package avatar

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"io"
)

// Reencoder decodes a bounded number of pictures at once. Its methods may be
// called at once.
type Reencoder struct {
	slots chan struct{}
}

// NewReencoder makes a Reencoder that decodes at most parallel pictures at once
// (at least one). Each may take 340 MB while it is decoded, see the package.
func NewReencoder(parallel int) *Reencoder {
	return &Reencoder{slots: make(chan struct{}, max(parallel, 1))}
}

// Reencode is the function [Reencode], but waits for its turn until ctx ends,
// and then or while it decodes fails with the error of ctx. Uploads that are
// refused by their header do not wait.
func (e *Reencoder) Reencode(ctx context.Context, r io.Reader) (Image, error) {
	data, err := read(r)
	if err != nil {
		return Image{}, err
	}
	h, err := inspect(data)
	if err != nil {
		return Image{}, err
	}
	if err := h.check(); err != nil {
		return Image{}, err
	}

	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return Image{}, fmt.Errorf("avatar: waiting to decode: %w", ctx.Err())
	}

	picture, err := h.decode(&untilDone{ctx: ctx, r: bytes.NewReader(h.data)})
	if ctxErr := ctx.Err(); ctxErr != nil {
		return Image{}, fmt.Errorf("avatar: decoding: %w", ctxErr)
	}
	if err != nil {
		return Image{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if picture.Bounds().Empty() {
		return Image{}, fmt.Errorf("%w: the picture is empty", ErrBroken)
	}
	small := fit(picture, image.Rect(0, 0, h.width, h.height))
	made, err := encode(orient(small, h.orientation))
	if err != nil {
		return Image{}, fmt.Errorf("avatar: encoding: %w", err)
	}
	return made, nil
}

// untilDone reads until a context ends. Decoders read a few kilobytes at a
// time, so that one with much to do for few bytes is stopped.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
