package avatar_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"
)

// Colours of the quarters of [quarters].
var (
	red   = color.RGBA{255, 0, 0, 255}
	green = color.RGBA{0, 255, 0, 255}
	blue  = color.RGBA{0, 0, 255, 255}
	white = color.RGBA{255, 255, 255, 255}
	clear = color.RGBA{}
)

// quarters is a picture of four colours, as those in testdata are.
func quarters(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetRGBA(x, y, [4]color.RGBA{red, green, blue, white}[x*2/w+y*2/h*2])
		}
	}
	return m
}

func encodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func encodeJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// pngChunk is a chunk with its length and sum.
func pngChunk(kind string, body []byte) []byte {
	c := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	c = append(append(c, kind...), body...)
	return binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:]))
}

// pngClaiming is a PNG whose header claims a size, without any pixel.
func pngClaiming(w, h uint32, depth, colour, interlace byte) []byte {
	body := binary.BigEndian.AppendUint32(nil, w)
	body = binary.BigEndian.AppendUint32(body, h)
	body = append(body, depth, colour, 0, 0, interlace)
	out := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", body)...)
	return append(out, pngChunk("IDAT", []byte{0x78, 0x9c})...)
}

// gifClaiming is a GIF whose screen and frame claim a size.
func gifClaiming(w, h uint16) []byte {
	out := []byte("GIF89a")
	out = binary.LittleEndian.AppendUint16(out, w)
	out = binary.LittleEndian.AppendUint16(out, h)
	out = append(out, 0xf0, 0, 0, 0, 0, 0, 255, 255, 255, 0x2c, 0, 0, 0, 0)
	out = binary.LittleEndian.AppendUint16(out, w)
	out = binary.LittleEndian.AppendUint16(out, h)
	return append(out, 0x40, 2, 1, 0x14, 0, 0x3b)
}

// segment is a segment of JPEG.
func segment(marker byte, body ...byte) []byte {
	out := []byte{0xff, marker}
	out = binary.BigEndian.AppendUint16(out, uint16(len(body)+2))
	return append(out, body...)
}

// jpegClaiming is a JPEG whose header claims a size, with the sampling factors
// of each component.
func jpegClaiming(w, h uint16, sof byte, factors ...byte) []byte {
	body := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(len(factors))}
	for i, f := range factors {
		body = append(body, byte(i+1), f, 0)
	}
	return append([]byte{0xff, 0xd8}, segment(sof, body...)...)
}

// jpegOfScans is a progressive grey JPEG with scans that are a few bytes each
// and say of every block that it stays as it is.
func jpegOfScans(side uint16, scans int) []byte {
	out := jpegClaiming(side, side, 0xc2, 0x11)
	quantisation := append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)
	out = append(out, segment(0xdb, quantisation...)...)
	counts := make([]byte, 16)
	counts[0] = 1
	out = append(out, segment(0xc4, append(append([]byte{0x10}, counts...), 0xe0)...)...) // one code, "0": a run of 2^14 + 14 bits
	blocks := (int(side) + 7) / 8
	blocks *= blocks
	for range scans {
		out = append(out, segment(0xda, 1, 1, 0, 1, 63, 0)...)
		var data []byte
		bits, n := uint32(0), 0
		for left := blocks; left > 0; {
			run := min(left, 1<<15-2) // all ones would be a marker's first byte
			if run < 1<<14 {
				run = 1 << 14
			}
			bits, n = bits<<15|uint32(run-1<<14), n+15
			left -= run
			for n >= 8 {
				b := byte(bits >> (n - 8))
				data = append(data, b)
				if b == 0xff {
					data = append(data, 0)
				}
				n -= 8
			}
		}
		data = append(data, byte(bits<<(8-n))|1<<(8-n)>>1)
		out = append(out, data...)
	}
	return append(out, 0xff, 0xd9)
}

// webpOf is a WebP file of chunks.
func webpOf(chunks ...[]byte) []byte {
	body := append([]byte("WEBP"), bytes.Join(chunks, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func webpChunk(kind string, body []byte) []byte {
	c := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body))), body...)
	if len(body)%2 == 1 {
		c = append(c, 0)
	}
	return c
}

// vp8lClaiming is a lossless picture whose header claims a size, and whose
// pixels are all the same and take no bit.
func vp8lClaiming(w, h uint32) []byte {
	head := binary.LittleEndian.AppendUint32([]byte{0x2f}, (w-1)|(h-1)<<14)
	return webpChunk("VP8L", append(head, 0x88, 0x88, 0x08))
}

func vp8Claiming(w, h uint16) []byte {
	head := []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a}
	head = binary.LittleEndian.AppendUint16(head, w)
	head = binary.LittleEndian.AppendUint16(head, h)
	return webpChunk("VP8 ", append(head, make([]byte, 64)...))
}

func vp8xClaiming(flags byte, w, h uint32) []byte {
	w, h = w-1, h-1
	return webpChunk("VP8X", []byte{flags, 0, 0, 0, byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)})
}

// exifOf is a TIFF file that says how to turn a picture, and something private.
func exifOf(order binary.AppendByteOrder, orientation uint16) []byte {
	head := "II*\x00"
	if order == binary.AppendByteOrder(binary.BigEndian) {
		head = "MM\x00*"
	}
	out := order.AppendUint32([]byte(head), 8)
	out = order.AppendUint16(out, 2)
	out = order.AppendUint16(out, 0x010e) // ImageDescription, ASCII
	out = order.AppendUint16(out, 2)
	out = order.AppendUint32(out, 15)
	out = order.AppendUint32(out, 38)
	out = order.AppendUint16(out, 0x0112)
	out = order.AppendUint16(out, 3)
	out = order.AppendUint32(out, 1)
	out = order.AppendUint16(out, orientation)
	out = order.AppendUint16(out, 0)
	out = order.AppendUint32(out, 0)
	return append(out, "secret-of-exif\x00"...)
}

// withEXIF is a JPEG with EXIF put in front of the rest.
func withEXIF(picture, exif []byte) []byte {
	out := append([]byte{0xff, 0xd8}, segment(0xe1, append([]byte("Exif\x00\x00"), exif...)...)...)
	return append(out, picture[2:]...)
}
