package avatar

import (
	"encoding/binary"
	"io"
)

// webpChunks is what a WebP file (RFC 9649) says beside its pixels.
type webpChunks struct {
	still         []byte // a WebP file with the picture or the first frame
	width, height int
	exif          []byte
}

// chunk is a chunk of RIFF.
type chunk struct {
	kind string
	body []byte
}

// nextChunk cuts a chunk off. It fails with [io.ErrUnexpectedEOF] where the
// chunk does not end within data.
func nextChunk(data []byte) (c chunk, rest []byte, err error) {
	if len(data) < 8 {
		return chunk{}, nil, io.ErrUnexpectedEOF
	}
	n := int64(binary.LittleEndian.Uint32(data[4:]))
	padded := n + n&1
	if padded > int64(len(data)-8) {
		if n != int64(len(data)-8) {
			return chunk{}, nil, io.ErrUnexpectedEOF
		}
		padded = n // some encoders leave the last padding byte out
	}
	return chunk{string(data[:4]), data[8 : 8+n]}, data[8+padded:], nil
}

// readWebP finds the picture of a WebP file, or the first frame of an animated
// one, and how large it is by its own header: that of the file may differ. Of a
// file without one, still is empty.
func readWebP(data []byte) (webpChunks, error) {
	riff, _, err := nextChunk(data)
	if err != nil {
		return webpChunks{}, err
	}
	if len(riff.body) < 4 {
		return webpChunks{}, io.ErrUnexpectedEOF
	}
	var (
		found webpChunks
		alpha []byte
	)
	for rest := riff.body[4:]; len(rest) > 0; {
		var c chunk
		here := rest
		if c, rest, err = nextChunk(rest); err != nil {
			if found.still != nil {
				break // cut short behind the picture
			}
			return webpChunks{}, err
		}
		switch {
		case c.kind == "EXIF":
			found.exif = c.body
		case found.still != nil:
		case c.kind == "ALPH":
			alpha = c.body
		case c.kind == "ANMF" && len(c.body) >= 16:
			rest = here[8+16:] // the chunks of the first frame, then those of the file
		case c.kind == "VP8 " || c.kind == "VP8L":
			if found.width, found.height, err = frameSize(c); err != nil {
				return webpChunks{}, err
			}
			found.still = stillWebP(found.width, found.height, alpha, c)
		}
	}
	return found, nil
}

// frameSize reads the header of a VP8 key frame (RFC 6386, section 9.1) or of a
// VP8L picture (RFC 9649, section 3.4).
func frameSize(c chunk) (width, height int, err error) {
	if c.kind == "VP8L" {
		if len(c.body) < 5 {
			return 0, 0, io.ErrUnexpectedEOF
		}
		bits := binary.LittleEndian.Uint32(c.body[1:])
		return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1, nil
	}
	if len(c.body) < 10 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return int(binary.LittleEndian.Uint16(c.body[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(c.body[8:]) & 0x3fff), nil
}

// stillWebP is a file with a picture and its alpha channel, if it has one, and
// nothing else.
func stillWebP(width, height int, alpha []byte, picture chunk) []byte {
	body := []byte("WEBP")
	if picture.kind == "VP8 " && alpha != nil && width > 0 && height > 0 {
		const hasAlpha = 1 << 4
		extended := make([]byte, 10)
		extended[0] = hasAlpha
		putUint24(extended[4:], width-1)
		putUint24(extended[7:], height-1)
		body = appendChunk(body, "VP8X", extended)
		body = appendChunk(body, "ALPH", alpha)
	}
	return appendChunk(nil, "RIFF", appendChunk(body, picture.kind, picture.body))
}

func appendChunk(to []byte, kind string, body []byte) []byte {
	to = append(to, kind...)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(body))) // #nosec G115 -- within an upload
	to = append(to, body...)
	if len(body)%2 == 1 {
		to = append(to, 0)
	}
	return to
}

func putUint24(to []byte, n int) {
	to[0], to[1], to[2] = byte(n), byte(n>>8), byte(n>>16) // #nosec G115 -- the low 24 bits are meant
}
