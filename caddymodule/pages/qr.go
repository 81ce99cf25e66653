package pages

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// QR is a QR code (ISO/IEC 18004) as the path of an SVG: a square of Size modules,
// its quiet zone included.
type QR struct {
	Path string
	Size int
}

// quietZone is the empty border that readers need, in modules.
const quietZone = 4

// NewQR draws a text.
func NewQR(text string) (QR, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return QR{}, fmt.Errorf("draw a QR code: %w", err)
	}
	bounds := code.Bounds()
	var path strings.Builder
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			if color.GrayModel.Convert(code.At(x, y)) == (color.Gray{}) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x-bounds.Min.X+quietZone, y-bounds.Min.Y+quietZone)
			}
		}
	}
	return QR{Path: path.String(), Size: bounds.Dx() + 2*quietZone}, nil
}
