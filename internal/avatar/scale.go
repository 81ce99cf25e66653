package avatar

import (
	"image"

	"golang.org/x/image/draw"
)

// fit draws a picture, which may cover a part of its canvas only, on one scaled
// down to fit [Side].
func fit(picture image.Image, canvas image.Rectangle) *image.RGBA {
	w, h := canvas.Dx(), canvas.Dy()
	longer := max(w, h)
	if longer <= Side {
		same := image.NewRGBA(canvas)
		draw.Draw(same, picture.Bounds(), picture, picture.Bounds().Min, draw.Src)
		return same
	}
	scaled := func(n int) int { return (n*Side + longer/2) / longer }
	to := image.NewRGBA(image.Rect(0, 0, max(scaled(w), 1), max(scaled(h), 1)))
	var where image.Rectangle
	where.Min.X = min(scaled(picture.Bounds().Min.X), to.Rect.Max.X-1)
	where.Min.Y = min(scaled(picture.Bounds().Min.Y), to.Rect.Max.Y-1)
	where.Max.X = max(scaled(picture.Bounds().Max.X), where.Min.X+1)
	where.Max.Y = max(scaled(picture.Bounds().Max.Y), where.Min.Y+1)

	// The rows of the filter take 32 bytes a pixel, so most of the way down is
	// gone by averages.
	if k := longer / Side; k > 1 {
		picture = average(picture, k)
	}
	draw.CatmullRom.Scale(to, where, picture, picture.Bounds(), draw.Src, nil)
	return to
}

// average makes one pixel of k × k, and of what is left of them at the right
// and lower edge.
func average(picture image.Image, k int) *image.RGBA {
	b := picture.Bounds()
	w, h := b.Dx(), b.Dy()
	to := image.NewRGBA(image.Rect(0, 0, (w+k-1)/k, (h+k-1)/k))
	row := image.NewRGBA(image.Rect(0, 0, w, 1))
	sums := make([][4]uint32, to.Rect.Dx())
	for top := 0; top < h; top += k {
		clear(sums)
		bottom := min(top+k, h)
		for y := top; y < bottom; y++ {
			draw.Draw(row, row.Rect, picture, image.Pt(b.Min.X, b.Min.Y+y), draw.Src)
			for x := range w {
				sum, pixel := &sums[x/k], row.Pix[4*x:4*x+4]
				for c := range 4 {
					sum[c] += uint32(pixel[c])
				}
			}
		}
		line := to.Pix[top/k*to.Stride:]
		for x, sum := range sums {
			n := uint32((min((x+1)*k, w) - x*k) * (bottom - top)) // #nosec G115 -- at most k²
			for c := range 4 {
				line[4*x+c] = uint8((sum[c] + n/2) / n) // #nosec G115 -- an average of bytes
			}
		}
	}
	return to
}

// orient turns a picture as a value of EXIF's orientation says (Exif 2.32,
// section 4.6.4 A).
func orient(picture *image.RGBA, orientation int) *image.RGBA {
	w, h := picture.Rect.Dx(), picture.Rect.Dy()
	var from func(x, y int) (int, int)
	switch orientation {
	case 2: // mirrored
		from = func(x, y int) (int, int) { return w - 1 - x, y }
	case 3: // upside down
		from = func(x, y int) (int, int) { return w - 1 - x, h - 1 - y }
	case 4:
		from = func(x, y int) (int, int) { return x, h - 1 - y }
	case 5:
		from = func(x, y int) (int, int) { return y, x }
	case 6: // to be turned clockwise
		from = func(x, y int) (int, int) { return y, h - 1 - x }
	case 7:
		from = func(x, y int) (int, int) { return w - 1 - y, h - 1 - x }
	case 8: // to be turned counter-clockwise
		from = func(x, y int) (int, int) { return w - 1 - y, x }
	default:
		return picture
	}
	turned := image.NewRGBA(picture.Rect)
	if orientation >= 5 {
		turned = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range turned.Rect.Dy() {
		for x := range turned.Rect.Dx() {
			fx, fy := from(x, y)
			turned.SetRGBA(x, y, picture.RGBAAt(fx, fy))
		}
	}
	return turned
}
