package avatar_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mana.how/edge/internal/avatar"
)

// bombs are small files that claim to be large.
func bombs() map[string][]byte {
	const edge = 6324 // the largest square of at most MaxPixels
	alpha := webpChunk("ALPH", []byte{1, 0x88, 0x88, 0x08})
	scan := append(segment(0xda, 1, 1, 0, 0, 0, 0), make([]byte, 64)...)
	return map[string][]byte{
		"png 100 000 × 100 000":             pngClaiming(100_000, 100_000, 8, 2, 0),
		"png 60 000 × 60 000":               pngClaiming(60_000, 60_000, 8, 2, 0),
		"png of one line":                   pngClaiming(65536, 1, 8, 2, 0),
		"png of one column":                 pngClaiming(1, 65536, 8, 2, 0),
		"png a pixel too many":              pngClaiming(40_000, 1001, 1, 0, 0),
		"png of 16 bits, interlaced":        pngClaiming(edge, edge, 16, 6, 1),
		"gif 65 535 × 65 535":               gifClaiming(65535, 65535),
		"jpeg 65 500 × 65 500":              append(jpegClaiming(65500, 65500, 0xc0, 0x22, 0x11, 0x11), scan...),
		"jpeg, progressive 4:4:4":           append(jpegClaiming(edge, edge, 0xc2, 0x11, 0x11, 0x11), scan...),
		"jpeg, progressive CMYK":            append(jpegClaiming(edge, edge, 0xc2, 0x11, 0x11, 0x11, 0x11), scan...),
		"jpeg, progressive CMYK, joined":    append(jpegClaiming(3873, 3873, 0xc2, 0x11, 0x11, 0x11, 0x11), scan...),
		"jpeg, a second header":             slices.Concat(jpegClaiming(edge, edge, 0xc2, 0x11, 0x11, 0x11), scan, segment(0xc0, 8, 0, 8, 0, 8, 1, 1, 0x11, 0)),
		"webp, lossless":                    webpOf(vp8lClaiming(16384, 16384)),
		"webp, lossy":                       webpOf(vp8Claiming(16383, 16383)),
		"webp, small canvas, large picture": webpOf(vp8xClaiming(0, 16, 16), vp8lClaiming(16384, 16384)),
		"webp, small canvas, large frame":   webpOf(vp8xClaiming(0, 16, 16), vp8Claiming(16383, 16383)),
		"webp, large alpha":                 webpOf(vp8xClaiming(1<<4, 16384, 16384), alpha, vp8Claiming(16383, 16383)),
		"webp, large frame of an animation": webpOf(vp8xClaiming(1<<1, 16, 16), webpChunk("ANMF", append(make([]byte, 16), vp8lClaiming(16384, 16384)...))),
	}
}

// A bomb is refused by its header: the process allocates less than a megabyte
// for it.
func TestReencodeRefusesBombs(t *testing.T) {
	t.Parallel()
	for name, bomb := range bombs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := avatar.Reencode(bytes.NewReader(bomb)); !errors.Is(err, avatar.ErrTooManyPixels) {
				t.Errorf("the error is %v, want %v", err, avatar.ErrTooManyPixels)
			}
			if used := inOtherProcess(t, bomb).allocated; used > 1<<20 {
				t.Errorf("%d bytes were allocated", used)
			}
		})
	}
}

// The alpha channel of a canvas is not decoded where the picture is smaller.
func TestReencodeDecodesAlphaOfThePictureAlone(t *testing.T) {
	t.Parallel()
	still := testdata(t, "lossy-alpha.webp")
	large := slices.Clone(still)
	copy(large[12:], vp8xClaiming(1<<4, 16384, 16384))
	if _, err := avatar.Reencode(bytes.NewReader(large)); err != nil {
		t.Fatal(err)
	}
	if used := inOtherProcess(t, large).allocated; used > 4<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

// Pictures that may be decoded take no more memory than the package says: eight
// bytes a pixel, and what scaling takes.
func TestReencodeStaysWithinItsMemory(t *testing.T) {
	t.Parallel()
	const edge = 1800
	for name, upload := range map[string][]byte{
		"jpeg, progressive": jpegOfScans(edge, 3),
		"webp, lossless":    webpOf(vp8lClaiming(edge, edge)),
		"png of 16 bits":    encodePNG(t, image.NewGray16(image.Rect(0, 0, edge, edge))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			used := inOtherProcess(t, upload)
			if used.err != "" {
				t.Fatal(used.err)
			}
			if used.allocated > 8*edge*edge+20<<20 {
				t.Errorf("%d MB were allocated", used.allocated/1e6)
			}
		})
	}
}

// use is what a process took for an upload.
type use struct {
	allocated uint64 // bytes, all garbage counted
	err       string
}

const childEnv = "AVATAR_TEST_UPLOAD"

// inOtherProcess reencodes in a process of its own, where nothing else
// allocates.
func inOtherProcess(t *testing.T, upload []byte) use {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^TestChild$")
	cmd.Env = append(os.Environ(), childEnv+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stdin = bytes.NewReader(upload)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, line, _ := strings.Cut(string(out), "used ")
	line, _, _ = strings.Cut(line, "\n")
	number, text, _ := strings.Cut(line, " ")
	allocated, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return use{allocated, text}
}

// TestChild is the other process of inOtherProcess.
func TestChild(t *testing.T) {
	t.Parallel()
	if os.Getenv(childEnv) == "" {
		return
	}
	var upload bytes.Buffer
	if _, err := upload.ReadFrom(os.Stdin); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := avatar.Reencode(bytes.NewReader(upload.Bytes()))
	runtime.ReadMemStats(&after)
	text := ""
	if err != nil {
		text = err.Error()
	}
	fmt.Printf("\nused %d %s\n", after.TotalAlloc-before.TotalAlloc, text)
}

func FuzzReencode(f *testing.F) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			f.Add(testdata(f, entry.Name()))
		}
	}
	for _, bomb := range bombs() {
		f.Add(bomb)
	}
	f.Add(encodePNG(f, quarters(600, 20)))
	f.Add(withEXIF(encodeJPEG(f, quarters(16, 8)), exifOf(binary.BigEndian, 7)))
	f.Add(jpegOfScans(64, 3))
	f.Fuzz(func(t *testing.T, upload []byte) {
		made, err := avatar.Reencode(bytes.NewReader(upload))
		if err != nil {
			known := []error{avatar.ErrType, avatar.ErrTooLarge, avatar.ErrTooManyPixels, avatar.ErrBroken}
			if !slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) }) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		config, format, err := image.DecodeConfig(bytes.NewReader(made.Bytes))
		if err != nil || "image/"+format != made.ContentType || max(config.Width, config.Height) > avatar.Side {
			t.Fatalf("%s of %d × %d, said to be %s: %v", format, config.Width, config.Height, made.ContentType, err)
		}
	})
}
