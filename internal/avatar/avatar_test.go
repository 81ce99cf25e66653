package avatar_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"mana.how/edge/internal/avatar"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// reencode makes a picture of an upload, and decodes it.
func reencode(t testing.TB, upload []byte) (avatar.Image, image.Image) {
	t.Helper()
	made, err := avatar.Reencode(bytes.NewReader(upload))
	if err != nil {
		t.Fatal(err)
	}
	m, format, err := image.Decode(bytes.NewReader(made.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"jpeg": "image/jpeg jpg", "png": "image/png png"}[format]; made.ContentType+" "+made.Ext != want {
		t.Errorf("the picture is a %s, said to be %s, %s", format, made.ContentType, made.Ext)
	}
	return made, m
}

func near(t testing.TB, where string, got color.Color, want color.RGBA) {
	t.Helper()
	r, g, b, a := got.RGBA()
	wr, wg, wb, wa := want.RGBA()
	for i, d := range []int{int(r) - int(wr), int(g) - int(wg), int(b) - int(wb), int(a) - int(wa)} {
		if d < -24<<8 || d > 24<<8 {
			t.Errorf("%s: the colour is %v, want %v (channel %d)", where, got, want, i)
			return
		}
	}
}

// corners compares the middles of the quarters, row by row.
func corners(t testing.TB, m image.Image, want [4]color.RGBA) {
	t.Helper()
	b := m.Bounds()
	for i, where := range []string{"top left", "top right", "bottom left", "bottom right"} {
		x := b.Min.X + b.Dx()*(1+i%2*2)/4
		y := b.Min.Y + b.Dy()*(1+i/2*2)/4
		near(t, where, m.At(x, y), want[i])
	}
}

func TestReencodeTakesEveryFormat(t *testing.T) {
	t.Parallel()
	deep := image.NewNRGBA64(image.Rect(0, 0, 32, 48))
	deepOpaque := image.NewRGBA64(deep.Rect)
	palette := image.NewPaletted(deep.Rect, color.Palette{red, green, blue, white, clear})
	q := quarters(32, 48)
	for y := range 48 {
		for x := range 32 {
			deepOpaque.Set(x, y, q.At(x, y))
			deep.Set(x, y, q.At(x, y))
			palette.Set(x, y, q.At(x, y))
			if x >= 16 && y >= 24 {
				deep.Set(x, y, color.Transparent)
				palette.Set(x, y, color.Transparent)
			}
		}
	}
	black := image.NewPaletted(deep.Rect, color.Palette{color.Black})
	var animated bytes.Buffer
	if err := gif.EncodeAll(&animated, &gif.GIF{Image: []*image.Paletted{palette, black}, Delay: []int{10, 10}}); err != nil {
		t.Fatal(err)
	}

	upright := [4]color.RGBA{red, green, blue, white}
	holed := [4]color.RGBA{red, green, blue, clear}
	clockwise := [4]color.RGBA{blue, red, white, green}
	holedClockwise := [4]color.RGBA{blue, red, clear, green}
	for _, c := range []struct {
		name   string
		upload []byte
		kind   string
		want   [4]color.RGBA
		w, h   int
	}{
		{"png", encodePNG(t, q), "image/jpeg", upright, 32, 48},
		{"png of 16 bits", encodePNG(t, deepOpaque), "image/jpeg", upright, 32, 48},
		{"png of 16 bits with alpha", encodePNG(t, deep), "image/png", holed, 32, 48},
		{"png with a palette and a transparent colour", encodePNG(t, palette), "image/png", holed, 32, 48},
		{"png with exif", testdata(t, "turned.png"), "image/jpeg", clockwise, 48, 32},
		{"jpeg", encodeJPEG(t, q), "image/jpeg", upright, 32, 48},
		{"jpeg with exif", testdata(t, "turned.jpg"), "image/jpeg", clockwise, 48, 32},
		{"jpeg, progressive", testdata(t, "progressive.jpg"), "image/jpeg", upright, 32, 48},
		{"jpeg, CMYK", testdata(t, "cmyk.jpg"), "image/jpeg", upright, 32, 48},
		{"gif, animated", animated.Bytes(), "image/png", holed, 32, 48},
		{"webp, lossy", testdata(t, "lossy.webp"), "image/jpeg", upright, 32, 48},
		{"webp, lossless", testdata(t, "lossless.webp"), "image/jpeg", upright, 32, 48},
		{"webp, lossy with alpha", testdata(t, "lossy-alpha.webp"), "image/png", holed, 32, 48},
		{"webp, lossless with alpha", testdata(t, "lossless-alpha.webp"), "image/png", holed, 32, 48},
		{"webp with exif", testdata(t, "turned.webp"), "image/jpeg", clockwise, 48, 32},
		{"webp with exif and alpha", testdata(t, "turned-alpha.webp"), "image/png", holedClockwise, 48, 32},
		{"webp, animated with exif", testdata(t, "animated.webp"), "image/jpeg", clockwise, 48, 32},
		{"webp, animated with alpha", testdata(t, "animated-alpha.webp"), "image/png", holed, 32, 48},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			made, m := reencode(t, c.upload)
			if made.ContentType != c.kind {
				t.Errorf("it is %s, want %s", made.ContentType, c.kind)
			}
			if m.Bounds() != image.Rect(0, 0, c.w, c.h) {
				t.Errorf("its bounds are %v, want %d × %d", m.Bounds(), c.w, c.h)
			}
			corners(t, m, c.want)
		})
	}
}

func TestReencodeTurnsAsEXIFSays(t *testing.T) {
	t.Parallel()
	for orientation, want := range map[uint16][4]color.RGBA{
		0: {red, green, blue, white}, // none of the eight
		1: {red, green, blue, white},
		2: {green, red, white, blue},
		3: {white, blue, green, red},
		4: {blue, white, red, green},
		5: {red, blue, green, white},
		6: {blue, red, white, green},
		7: {white, green, blue, red},
		8: {green, white, red, blue},
		9: {red, green, blue, white},
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			t.Run(fmt.Sprint(orientation, order), func(t *testing.T) {
				t.Parallel()
				made, m := reencode(t, withEXIF(encodeJPEG(t, quarters(64, 32)), exifOf(order, orientation)))
				wide := orientation < 5 || orientation > 8
				if got := m.Bounds(); wide != (got.Dx() == 64 && got.Dy() == 32) || wide == (got.Dx() == 32 && got.Dy() == 64) {
					t.Errorf("its bounds are %v", got)
				}
				corners(t, m, want)
				if bytes.Contains(made.Bytes, []byte("Exif")) || bytes.Contains(made.Bytes, []byte("secret-of-exif")) {
					t.Error("EXIF was not dropped")
				}
			})
		}
	}
}

// Files that are not quite as they should be, but as every program takes them.
func TestReencodeIsLiberal(t *testing.T) {
	t.Parallel()
	still := testdata(t, "lossless.webp")
	picture := testdata(t, "turned.png")
	at := bytes.Index(picture, []byte("eXIf")) - 4
	end := at + 12 + int(binary.BigEndian.Uint32(picture[at:]))
	exif := picture[at:end]
	withoutEXIF := slices.Concat(picture[:at], picture[end:])
	iend := len(withoutEXIF) - 12
	upright := [4]color.RGBA{red, green, blue, white}
	clockwise := [4]color.RGBA{blue, red, white, green}
	for name, c := range map[string]struct {
		upload []byte
		want   [4]color.RGBA
	}{
		"webp without the last padding byte":  {webpOf(still[12 : len(still)-1]), upright},
		"webp with half a chunk at the end":   {webpOf(still[12:], []byte("EXI")), upright},
		"webp with bytes behind it":           {append(slices.Clone(still), "behind"...), upright},
		"png with exif behind the picture":    {slices.Concat(withoutEXIF[:iend], exif, withoutEXIF[iend:]), clockwise},
		"jpeg with exif twice":                {withEXIF(withEXIF(encodeJPEG(t, quarters(32, 48)), exifOf(binary.BigEndian, 3)), exifOf(binary.BigEndian, 6)), clockwise},
		"jpeg with fill bytes before markers": {slices.Concat([]byte{0xff, 0xd8, 0xff, 0xff, 0xff}, withEXIF(encodeJPEG(t, quarters(32, 48)), exifOf(binary.BigEndian, 6))[2:]), clockwise},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, m := reencode(t, c.upload)
			corners(t, m, c.want)
		})
	}
}

func TestAverage(t *testing.T) {
	t.Parallel()
	m := image.NewGray(image.Rect(2, 3, 7, 8))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * 10) // 0 10 20 30 40 / 50 …
	}
	a := avatar.Average(m, 3)
	if a.Rect != image.Rect(0, 0, 2, 2) {
		t.Fatalf("the bounds are %v", a.Rect)
	}
	for i, want := range []uint8{60, 85, 185, 210} {
		if got := a.Pix[4*i]; got != want {
			t.Errorf("pixel %d is %d, want %d", i, got, want)
		}
	}
}

// What image/jpeg would refuse does not matter, but must not end the process.
func TestMemoryOfJPEG(t *testing.T) {
	t.Parallel()
	for _, upload := range []string{"\xff\xd8", "\xff\xd8\xff\xc0\x00\x04\x08\x00", "\xff\xd8\xff\xc0\x00\x08\x08\x00\x01\x00\x01\x03"} {
		if got := avatar.MemoryOfJPEG([]byte(upload), 3, 5); got != 60 {
			t.Errorf("%q: %d", upload, got)
		}
	}
}

// EXIF that is not valid says nothing, and is no reason to refuse a picture.
func TestReencodeIgnoresBadEXIF(t *testing.T) {
	t.Parallel()
	whole := exifOf(binary.LittleEndian, 6)
	far := slices.Clone(whole)
	binary.LittleEndian.PutUint32(far[4:], 0xffffffff)
	many := slices.Clone(whole[:22])
	binary.LittleEndian.PutUint16(many[8:], 0xffff)
	bytewise := slices.Clone(whole)
	bytewise[24] = 1 // of type BYTE
	several := slices.Clone(whole)
	several[26] = 2
	for name, exif := range map[string][]byte{
		"empty": {}, "short": whole[:7], "no directory": whole[:9], "cut in an entry": whole[:30], "directory far away": far,
		"more entries than there are": many, "of another type": bytewise, "two of them": several, "neither byte order": []byte("XX*\x00\x08\x00\x00\x00\x00\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, m := reencode(t, withEXIF(encodeJPEG(t, quarters(64, 32)), exif))
			corners(t, m, [4]color.RGBA{red, green, blue, white})
		})
	}
}

func TestReencodeScalesDownToFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ w, h, wantW, wantH int }{
		{1, 1, 1, 1},
		{300, 200, 300, 200},
		{512, 512, 512, 512},
		{513, 512, 512, 511},
		{1000, 500, 512, 256},
		{500, 1000, 256, 512},
		{1280, 960, 512, 384},
		{1101, 1100, 512, 512},
		{4000, 2, 512, 1},
		{2, 65535, 1, 512},
	} {
		t.Run(fmt.Sprintf("%d×%d", c.w, c.h), func(t *testing.T) {
			t.Parallel()
			_, m := reencode(t, encodePNG(t, quarters(c.w, c.h)))
			if m.Bounds() != image.Rect(0, 0, c.wantW, c.wantH) {
				t.Errorf("its bounds are %v, want %d × %d", m.Bounds(), c.wantW, c.wantH)
			}
			if c.wantW > 1 && c.wantH > 1 {
				corners(t, m, [4]color.RGBA{red, green, blue, white})
			}
		})
	}
}

// A ramp stays a ramp: nothing is shifted, left out or taken twice.
func TestReencodeAveragesWhatItScales(t *testing.T) {
	t.Parallel()
	for _, side := range []int{512, 700, 1024, 1300} {
		ramp := image.NewGray(image.Rect(0, 0, side, side))
		for y := range side {
			for x := range side {
				// Stripes of one pixel, darker and lighter than the ramp by the same.
				ramp.SetGray(x, y, color.Gray{Y: uint8(40 + x*170/side + (x+y)%2*2*10 - 10)})
			}
		}
		_, m := reencode(t, encodePNG(t, ramp))
		worst := 0
		for x := 4; x < 508; x++ {
			sum := 0
			for y := range 8 {
				sum += int(color.GrayModel.Convert(m.At(x, 250+y)).(color.Gray).Y)
			}
			worst = max(worst, abs(sum/8-(40+x*170/512)))
		}
		if worst > 4 {
			t.Errorf("of %d pixels: the ramp is off by %d", side, worst)
		}
	}
}

func abs(n int) int { return max(n, -n) }

// A frame that covers a part of the screen stays where it is.
func TestReencodePlacesTheFrame(t *testing.T) {
	t.Parallel()
	for _, scale := range []int{1, 40} {
		frame := image.NewPaletted(image.Rect(8*scale, 0, 16*scale, 8*scale), color.Palette{red})
		var out bytes.Buffer
		err := gif.EncodeAll(&out, &gif.GIF{
			Image: []*image.Paletted{frame}, Delay: []int{0},
			Config: image.Config{Width: 16 * scale, Height: 16 * scale, ColorModel: color.Palette{red}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, m := reencode(t, out.Bytes())
		corners(t, m, [4]color.RGBA{clear, red, clear, clear})
	}
}

// A file may be a picture and something else at once; what is published is the
// picture alone.
func TestReencodePublishesPixelsAlone(t *testing.T) {
	t.Parallel()
	const payload = "<script>alert('payload')</script>"
	q := quarters(32, 32)
	picture := encodePNG(t, q)
	withText := slices.Concat(picture[:33], pngChunk("tEXt", []byte("Comment\x00"+payload)), picture[33:])
	photo := encodeJPEG(t, q)
	withComment := slices.Concat(photo[:2], segment(0xfe, []byte(payload)...), photo[2:])
	palette := image.NewPaletted(q.Rect, color.Palette{red, green})
	var g bytes.Buffer
	if err := gif.Encode(&g, palette, nil); err != nil {
		t.Fatal(err)
	}
	comment := append([]byte{0x21, 0xfe, byte(len(payload))}, payload+"\x00"...)
	head := 13 + 3*2 // and its colour table
	still := testdata(t, "lossless.webp")
	for name, upload := range map[string][]byte{
		"png and a page":        append(slices.Clone(picture), payload...),
		"png with text":         withText,
		"jpeg and a page":       append(slices.Clone(photo), payload...),
		"jpeg with a comment":   withComment,
		"gif with a comment":    slices.Concat(g.Bytes()[:head], comment, g.Bytes()[head:]),
		"gif and a page":        append(slices.Clone(g.Bytes()), payload...),
		"webp with metadata":    webpOf(still[12:], webpChunk("XMP ", []byte(payload))),
		"webp and a page":       append(slices.Clone(still), payload...),
		"png and an SVG":        append(slices.Clone(picture), `<svg xmlns="http://www.w3.org/2000/svg"><script>payload</script></svg>`...),
		"jpeg and a ZIP or JAR": append(slices.Clone(photo), "PK\x03\x04 payload"...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, _ := reencode(t, upload)
			if bytes.Contains(made.Bytes, []byte("payload")) {
				t.Error("the payload is in the picture")
			}
		})
	}
}

func TestReencodeRefuses(t *testing.T) {
	t.Parallel()
	q := encodePNG(t, quarters(32, 32))
	riff := webpOf(webpChunk("XMP ", []byte("nothing else")))
	for _, c := range []struct {
		name   string
		upload []byte
		want   error
	}{
		{"nothing", nil, avatar.ErrType},
		{"an SVG", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), avatar.ErrType},
		{"an SVG with a declaration", []byte(`<?xml version="1.0"?><svg/>`), avatar.ErrType},
		{"a page", []byte("<!doctype html><script>alert(1)</script>"), avatar.ErrType},
		{"a PDF", []byte("%PDF-1.7"), avatar.ErrType},
		{"a BMP", []byte("BM\x3a\x00\x00\x00"), avatar.ErrType},
		{"a TIFF", []byte("II*\x00\x08\x00\x00\x00"), avatar.ErrType},
		{"a sound", []byte("RIFF\x24\x00\x00\x00WAVEfmt "), avatar.ErrType},
		{"RIFF alone", []byte("RIFF"), avatar.ErrType},
		{"a picture behind a page", append([]byte("<script>"), q...), avatar.ErrType},
		{"a page that begins as a GIF", []byte("GIF89a/*<script>alert(1)</script>*/=1;"), avatar.ErrTooManyPixels},
		{"a page that begins as a small GIF", []byte("GIF89a\x02\x00\x02\x00<script>alert(1)</script>"), avatar.ErrBroken},
		{"a page that begins as a PNG", []byte("\x89PNG\r\n\x1a\n<script>alert(1)</script>"), avatar.ErrBroken},
		{"a page that begins as a JPEG", []byte("\xff\xd8\xff<script>alert(1)</script>"), avatar.ErrBroken},
		{"a page that begins as a WebP", []byte("RIFF\x20\x00\x00\x00WEBP<script>alert(1)</script>xx"), avatar.ErrBroken},
		{"WebP without a picture", riff, avatar.ErrBroken},
		{"WebP of an unknown length", []byte("RIFF\xff\xff\xff\xffWEBP"), avatar.ErrBroken},
		{"a GIF of no frame", append(gifClaiming(2, 2)[:19], 0x3b), avatar.ErrBroken},
		{"a GIF of no pixel", gifClaiming(0, 7), avatar.ErrBroken},
		{"a WebP of no pixel", webpOf(vp8Claiming(0, 7)), avatar.ErrBroken},
		{"a GIF with a frame of no pixel", append(append(gifClaiming(2, 2)[:24:24], 0, 0, 0, 0), 0x40, 2, 1, 0x2c, 0, 0x3b), avatar.ErrBroken},
		{"a PNG with a chunk that does not end", append(pngClaiming(2, 2, 8, 2, 0)[:33:33], "\xff\xff\xff\xfftEXt"...), avatar.ErrBroken},
		{"a JPEG with a segment of no length", slices.Concat(jpegOfScans(8, 1)[:len(jpegOfScans(8, 1))-2], []byte("\xff\xe0\x00\x00\xff\xe0\x00\x01")), avatar.ErrBroken},
		{"a JPEG with a segment that does not end", append(jpegOfScans(8, 1)[:len(jpegOfScans(8, 1))-2], "\xff\xe0\xff\xff"...), avatar.ErrBroken},
		{"a JPEG with half a length", append(jpegOfScans(8, 1)[:len(jpegOfScans(8, 1))-2], "\xff\xe0\xff"...), avatar.ErrBroken},
		{"WebP that ends before its kind", []byte("RIFF\x02\x00\x00\x00WEBP"), avatar.ErrBroken},
		{"a lossless WebP without a header", webpOf(webpChunk("VP8L", []byte{0x2f, 1, 1, 1})), avatar.ErrBroken},
		{"a lossy WebP without a header", webpOf(webpChunk("VP8 ", make([]byte, 9))), avatar.ErrBroken},
		{"an animated WebP without a frame", webpOf(webpChunk("ANMF", nil)), avatar.ErrBroken},
		{"a JPEG of 12 bits", append(jpegClaiming(8, 8, 0xc1, 0x11)[:4], 0, 11, 12, 0, 8, 0, 8, 1, 1, 0x11, 0), avatar.ErrBroken},
		{"a JPEG of more scans than encoders make", jpegOfScans(64, 51), avatar.ErrBroken},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			made, err := avatar.Reencode(bytes.NewReader(c.upload))
			if !errors.Is(err, c.want) {
				t.Errorf("the error is %v, want %v", err, c.want)
			}
			if len(made.Bytes) > 0 {
				t.Error("there is a picture")
			}
		})
	}
}

// A file that ends early is refused wherever it ends, as far as it lacks pixels.
func TestReencodeRefusesWhatIsCutShort(t *testing.T) {
	t.Parallel()
	var g bytes.Buffer
	if err := gif.Encode(&g, quarters(32, 32), nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		upload []byte
		needed int // bytes from the end that are not
	}{
		"png": {encodePNG(t, quarters(32, 32)), 12}, "jpeg": {encodeJPEG(t, quarters(32, 32)), 0}, "gif": {g.Bytes(), 4},
		"lossy.webp": {testdata(t, "lossy.webp"), 0}, "lossless.webp": {testdata(t, "lossless.webp"), 1},
		"progressive.jpg": {testdata(t, "progressive.jpg"), 0}, "cmyk.jpg": {testdata(t, "cmyk.jpg"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range len(c.upload) - c.needed {
				_, err := avatar.Reencode(bytes.NewReader(c.upload[:n]))
				if want := n >= 12; !errors.Is(err, avatar.ErrBroken) && (want || !errors.Is(err, avatar.ErrType)) {
					t.Fatalf("of %d bytes the first %d: %v", len(c.upload), n, err)
				}
			}
		})
	}
}

func TestReencodeReadsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	picture := encodePNG(t, quarters(32, 32))
	padded := append(picture, make([]byte, avatar.MaxBytes-len(picture))...)
	if _, err := avatar.Reencode(bytes.NewReader(padded)); err != nil {
		t.Errorf("of exactly MaxBytes: %v", err)
	}
	if _, err := avatar.Reencode(bytes.NewReader(append(padded, 0))); !errors.Is(err, avatar.ErrTooLarge) {
		t.Errorf("of one byte more: %v", err)
	}

	upload := &endless{left: 50 << 20}
	if _, err := avatar.Reencode(upload); !errors.Is(err, avatar.ErrTooLarge) {
		t.Errorf("of 50 MB: %v", err)
	}
	if read := 50<<20 - upload.left; read > avatar.MaxBytes+1 {
		t.Errorf("%d bytes were read", read)
	}

	lost := errors.New("the connection is lost")
	if _, err := avatar.Reencode(iotest.ErrReader(lost)); !errors.Is(err, lost) || errors.Is(err, avatar.ErrBroken) {
		t.Errorf("of an upload that fails: %v", err)
	}
}

// endless is an upload of many bytes.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	n := min(len(p), e.left)
	e.left -= n
	return n, nil
}

func TestAllowedExt(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"me.png": "png", "me.JPG": "jpg", "a.b.jpeg": "jpeg", "me.gif": "gif", "Ich & Du.WebP": "webp", ".png": "png",
		"me.svg": "", "me": "", "": "", "png": "", "me.png.exe": "", "me.png/": "", "me.png\x00": "", "me.png ": "", "me.png/x": "", "me.": "",
	} {
		if ext, ok := avatar.AllowedExt(name); ext != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", name, ext, ok)
		}
	}
	if ext, ok := avatar.AllowedExt(strings.Repeat("x", 1<<20) + ".png"); ext != "png" || !ok {
		t.Error("a long name is refused")
	}
}
