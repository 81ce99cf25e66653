package avatar_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"mana.how/edge/internal/avatar"
)

func TestFormatOfAName(t *testing.T) {
	t.Parallel()
	for _, alpha := range []uint8{0, 255} {
		picture := image.NewNRGBA(image.Rect(0, 0, 8, 8))
		for i := range picture.Pix {
			picture.Pix[i] = 255
		}
		picture.Set(0, 0, color.NRGBA{A: alpha})
		var out bytes.Buffer
		if err := png.Encode(&out, picture); err != nil {
			t.Fatal(err)
		}
		made, err := avatar.Reencode(&out)
		if err != nil {
			t.Fatal(err)
		}
		for _, ext := range []string{"jpg", "png"} {
			got, err := made.As("avatars/u/1." + ext)
			if err != nil || got.Ext != ext {
				t.Fatalf("%s: %v", ext, err)
			}
			decoded, format, err := image.Decode(bytes.NewReader(got.Bytes))
			if err != nil || format != map[string]string{"jpg": "jpeg", "png": "png"}[ext] || got.ContentType != "image/"+format {
				t.Errorf("%s is %s as %s, %v", ext, format, got.ContentType, err)
			}
			r, _, _, a := decoded.At(0, 0).RGBA()
			if ext == "jpg" && alpha == 0 && r < 0xc000 || ext == "png" && alpha == 0 && a != 0 {
				t.Errorf("%s: what was transparent is %x, %x", ext, r, a)
			}
		}
		if _, err := made.As("x.gif"); err == nil {
			t.Error("another format")
		}
	}
}
