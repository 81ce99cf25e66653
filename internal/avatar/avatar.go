package avatar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"path"
	"strings"
)

const (
	// MaxBytes bounds an upload.
	MaxBytes = 5 << 20
	// MaxPixels bounds width × height of an upload.
	MaxPixels = 40_000_000
	// Side bounds width and height of what is published, in pixels.
	Side = 512

	// maxSide bounds width and height of an upload. Only PNG can have more.
	maxSide = 65535
	// maxMemory bounds what decoding takes, in bytes.
	maxMemory = 8 * MaxPixels
	// quality of JPEG, of 100.
	quality = 85
)

var (
	// ErrType means that the content is none of PNG, JPEG, GIF and WebP.
	ErrType = errors.New("not a PNG, JPEG, GIF or WebP picture")
	// ErrTooLarge means more than [MaxBytes].
	ErrTooLarge = errors.New("the file is larger than 5 MB")
	// ErrTooManyPixels means more than [MaxPixels], or a picture stored so that
	// decoding takes more memory than those may.
	ErrTooManyPixels = errors.New("the picture has too many pixels")
	// ErrBroken means that the picture cannot be decoded: it is damaged, cut
	// short, or uses a variant of its format that is not supported.
	ErrBroken = errors.New("the picture is damaged or incomplete")
)

// Image is a picture to publish.
type Image struct {
	Bytes       []byte
	ContentType string // image/jpeg, or image/png where something is transparent
	Ext         string // jpg or png
}

// Reencode makes a picture to publish of an upload, of which it reads at most
// [MaxBytes] and one more. It fails with [ErrType], [ErrTooLarge],
// [ErrTooManyPixels], [ErrBroken] or what reading fails with. Where many may
// call at once, use a [Reencoder].
func Reencode(r io.Reader) (Image, error) {
	return NewReencoder(1).Reencode(context.Background(), r)
}

// AllowedExt returns the extension of a file name in lower case and without its
// dot, and reports whether it is one of the formats that [Reencode] takes: png,
// jpg, jpeg, gif, webp. It says nothing about the content.
func AllowedExt(filename string) (ext string, ok bool) {
	ext = strings.ToLower(strings.TrimPrefix(path.Ext(filename), "."))
	switch ext {
	case "png", "jpg", "jpeg", "gif", "webp":
		return ext, true
	}
	return "", false
}

// read returns the whole of an upload.
func read(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("avatar: reading the upload: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, ErrTooLarge
	}
	return data, nil
}

// encode writes a picture anew, without metadata.
func encode(picture *image.RGBA) (Image, error) {
	var out bytes.Buffer
	if picture.Opaque() {
		err := jpeg.Encode(&out, picture, &jpeg.Options{Quality: quality})
		return Image{Bytes: out.Bytes(), ContentType: "image/jpeg", Ext: "jpg"}, err
	}
	err := png.Encode(&out, picture)
	return Image{Bytes: out.Bytes(), ContentType: "image/png", Ext: "png"}, err
}
