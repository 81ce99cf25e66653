package avatar

import (
	"bytes"
	"encoding/binary"
)

const (
	tagOrientation = 0x0112 // Exif 2.32, section 4.6.4 A
	typeShort      = 3
	exifPrefix     = "Exif\x00\x00"
)

// orientation returns what EXIF (a TIFF file) says about how a picture is to be
// turned, and 1, as it is, where it says nothing. Values above 8 mean nothing.
func orientation(exif []byte) int {
	// The prefix belongs to JPEG, but stands in WebP files too.
	exif = bytes.TrimPrefix(exif, []byte(exifPrefix))
	if len(exif) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(exif[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	ifd := uint64(order.Uint32(exif[4:]))
	if ifd+2 > uint64(len(exif)) {
		return 1
	}
	entries := exif[ifd+2:]
	for range order.Uint16(exif[ifd:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == tagOrientation {
			if order.Uint16(entries[2:]) != typeShort || order.Uint32(entries[4:]) != 1 {
				return 1
			}
			return int(order.Uint16(entries[8:]))
		}
		entries = entries[12:]
	}
	return 1
}
