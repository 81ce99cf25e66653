package avatar

import (
	"bytes"
	"encoding/binary"
)

// maxScans bounds the scans of a JPEG. Encoders make about ten of them. Each
// goes over the whole picture however few bytes it has, so that a small file
// could keep a processor busy for minutes.
const maxScans = 50

// Markers of ITU-T T.81, table B.1.
const (
	markerSOF0 = 0xc0 // baseline
	markerSOF1 = 0xc1 // extended
	markerSOF2 = 0xc2 // progressive
	markerRST0 = 0xd0
	markerRST7 = 0xd7
	markerEOI  = 0xd9
	markerSOS  = 0xda
	markerAPP1 = 0xe1
)

// segments is what a JPEG says beside its pixels.
type segments struct {
	sof         []byte // the body of the frame header
	progressive bool
	scans       int
	exif        []byte // with its prefix, empty without EXIF
}

// readJPEG reads the segments of a JPEG, as far as they can be read. It takes
// markers where image/jpeg does.
func readJPEG(data []byte) segments {
	var s segments
	for rest := data[2:]; ; {
		at := bytes.IndexByte(rest, 0xff)
		if at < 0 {
			return s
		}
		rest = rest[at:]
		for len(rest) > 0 && rest[0] == 0xff { // any number of fill bytes
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0] == markerEOI {
			return s
		}
		marker := rest[0]
		rest = rest[1:]
		if marker == 0 || markerRST0 <= marker && marker <= markerRST7 {
			continue // within the data of a scan
		}
		if len(rest) < 2 {
			return s
		}
		n := int(binary.BigEndian.Uint16(rest))
		if n < 2 || n > len(rest) {
			return s
		}
		s.add(marker, rest[2:n])
		rest = rest[n:]
	}
}

func (s *segments) add(marker byte, body []byte) {
	switch marker {
	case markerSOF0, markerSOF1, markerSOF2:
		if s.sof == nil {
			s.sof, s.progressive = body, marker == markerSOF2
		}
	case markerSOS:
		s.scans++
	case markerAPP1:
		if s.exif == nil && bytes.HasPrefix(body, []byte(exifPrefix)) {
			s.exif = body
		}
	}
}

// memory is what image/jpeg takes for a picture: a byte a sample, and for
// progressive ones four more for its coefficient, which is kept until the end.
// Samples fill whole units (T.81, section A.2).
func (s segments) memory(width, height int) int64 {
	if len(s.sof) < 6 || len(s.sof) < 6+3*int(s.sof[5]) {
		return int64(width) * int64(height) * 4 // image/jpeg refuses it
	}
	components := int(s.sof[5])
	factors := func(i int) (h, v int64) {
		if components == 1 {
			return 1, 1
		}
		hv := s.sof[6+3*i+1]
		return int64(hv >> 4), int64(hv & 15)
	}
	h0, v0 := int64(1), int64(1)
	var samples int64 // of a unit
	for i := range components {
		h, v := factors(i)
		if i == 0 {
			h0, v0 = max(h, 1), max(v, 1)
		}
		samples += 64 * h * v
	}
	across := (int64(width) + 8*h0 - 1) / (8 * h0)
	down := (int64(height) + 8*v0 - 1) / (8 * v0)
	bytesPerSample := int64(1)
	if s.progressive {
		bytesPerSample = 5
	}
	total := across * down * samples * bytesPerSample
	if components == 4 {
		total += int64(width) * int64(height) * 4 // joined to CMYK
	}
	return total
}
