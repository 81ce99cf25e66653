package avatar

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
)

// header is what is known of a picture before it is decoded.
type header struct {
	data          []byte // what to decode
	width, height int    // before it is turned
	memory        int64  // bytes that decoding takes, at most
	orientation   int    // of EXIF, 1 to 8
	decode        func(io.Reader) (image.Image, error)
}

// inspect reads the header of a picture of any format. It fails with [ErrType]
// or [ErrBroken].
func inspect(data []byte) (header, error) {
	for _, format := range []struct {
		magic, at8 string
		inspect    func([]byte) (header, error)
	}{
		{"\x89PNG\r\n\x1a\n", "", inspectPNG},
		{"\xff\xd8\xff", "", inspectJPEG},
		{"GIF87a", "", inspectGIF},
		{"GIF89a", "", inspectGIF},
		{"RIFF", "WEBP", inspectWebP},
	} {
		if !bytes.HasPrefix(data, []byte(format.magic)) {
			continue
		}
		if format.at8 != "" && (len(data) < 8 || !bytes.HasPrefix(data[8:], []byte(format.at8))) {
			continue
		}
		h, err := format.inspect(data)
		if err != nil {
			return header{}, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		return h, nil
	}
	return header{}, ErrType
}

// check bounds what decoding takes. It fails with [ErrTooManyPixels].
func (h header) check() error {
	switch {
	case h.width > maxSide || h.height > maxSide:
		return fmt.Errorf("%w: %d × %d, a side may have %d", ErrTooManyPixels, h.width, h.height, maxSide)
	case h.pixels() > MaxPixels:
		return fmt.Errorf("%w: %d × %d, all in all it may have %d", ErrTooManyPixels, h.width, h.height, MaxPixels)
	case h.memory > maxMemory:
		return fmt.Errorf("%w: %d × %d, stored so that decoding takes %d MB", ErrTooManyPixels, h.width, h.height, h.memory/1e6)
	}
	return nil
}

func (h header) pixels() int64 { return int64(h.width) * int64(h.height) }

func inspectGIF(data []byte) (header, error) {
	config, err := gif.DecodeConfig(bytes.NewReader(data))
	// Decode ends behind the first frame, which lies within the screen.
	h := header{data: data, width: config.Width, height: config.Height, orientation: 1, decode: gif.Decode}
	h.memory = h.pixels()
	return h, err
}

func inspectPNG(data []byte) (header, error) {
	config, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return header{}, err
	}
	h := header{data: data, width: config.Width, height: config.Height, decode: png.Decode}
	ihdr, exif := pngChunks(data)
	h.orientation = orientation(exif)
	bytesPerPixel := int64(4)
	if ihdr.depth == 16 {
		bytesPerPixel = 8
	}
	if ihdr.interlaced {
		bytesPerPixel *= 2 // the passes, beside the picture that they make up
	}
	h.memory = h.pixels() * bytesPerPixel
	return h, nil
}

func inspectJPEG(data []byte) (header, error) {
	config, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return header{}, err
	}
	h := header{data: data, width: config.Width, height: config.Height, decode: jpeg.Decode}
	segments := readJPEG(data)
	if segments.scans > maxScans {
		return header{}, fmt.Errorf("more than %d scans", maxScans)
	}
	h.orientation = orientation(segments.exif)
	h.memory = segments.memory(h.width, h.height)
	return h, nil
}

func inspectWebP(data []byte) (header, error) {
	chunks, err := readWebP(data)
	if err != nil {
		return header{}, err
	}
	h := header{data: chunks.still, width: chunks.width, height: chunks.height, decode: webp.Decode}
	h.orientation = orientation(chunks.exif)
	h.memory = h.pixels() * 8
	return h, nil
}
