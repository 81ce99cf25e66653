package avatar

import "encoding/binary"

// ihdr is what decides about the memory for a PNG (PNG, third edition, section 11.2.1).
type ihdr struct {
	depth      uint8 // bits a channel
	interlaced bool
}

// pngChunks returns the header of a PNG and its EXIF, empty where it has none.
func pngChunks(data []byte) (h ihdr, exif []byte) {
	for rest := data[8:]; len(rest) >= 12; {
		n := int64(binary.BigEndian.Uint32(rest))
		if n > int64(len(rest)-12) {
			break
		}
		kind, body := string(rest[4:8]), rest[8:8+n]
		switch {
		case kind == "IHDR" && n == 13:
			h = ihdr{depth: body[8], interlaced: body[12] != 0}
		case kind == "eXIf":
			exif = body
		}
		rest = rest[12+n:]
	}
	return h, exif
}
