package avatar

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"path"
	"strings"
)

// PublishedExt is the extension under which a picture of another is published:
// jpg for those of JPEG, png for all that may be transparent.
func PublishedExt(ext string) string {
	switch ext {
	case "jpg", "jpeg":
		return "jpg"
	}
	return "png"
}

// As is the picture in the format of a name that was given before there was one,
// whose extension is jpg or png. What is transparent lies on white in a JPEG.
func (i Image) As(name string) (Image, error) {
	want := strings.TrimPrefix(path.Ext(name), ".")
	if want == i.Ext {
		return i, nil
	}
	picture, _, err := image.Decode(bytes.NewReader(i.Bytes))
	if err != nil {
		return Image{}, fmt.Errorf("avatar: decoding what was encoded: %w", err)
	}
	var out bytes.Buffer
	switch want {
	case "png":
		err = png.Encode(&out, picture)
		return Image{Bytes: out.Bytes(), ContentType: "image/png", Ext: want}, err
	case "jpg":
		opaque := image.NewRGBA(picture.Bounds())
		draw.Draw(opaque, opaque.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
		draw.Draw(opaque, opaque.Bounds(), picture, picture.Bounds().Min, draw.Over)
		err = jpeg.Encode(&out, opaque, &jpeg.Options{Quality: quality})
		return Image{Bytes: out.Bytes(), ContentType: "image/jpeg", Ext: want}, err
	}
	return Image{}, fmt.Errorf("avatar: no format %q", want)
}
