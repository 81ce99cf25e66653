package fingerprint

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"
)

// longestBoundary is that of RFC 2046, section 5.1.1.
const longestBoundary = 70

// withoutBoundary passes on to w what is written, without what browsers make
// up anew each time they send a form: the boundary in the lines that delimit
// parts (RFC 2046, section 5.1.1). Anywhere else the same text is content.
func withoutBoundary(h http.Header, w io.Writer) io.WriteCloser {
	boundary := BoundaryOf(h)
	if boundary == "" {
		return unchanged{w}
	}
	return &boundaryFilter{w: w, delimiter: []byte("\r\n--" + boundary), kept: []byte("\r\n")} // the first line, too, begins one
}

// BoundaryOf is the boundary of a multipart body, empty where it has none.
func BoundaryOf(h http.Header) string {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(mediaType, "multipart/") || len(params["boundary"]) > longestBoundary {
		return ""
	}
	return params["boundary"]
}

type unchanged struct{ io.Writer }

func (unchanged) Close() error { return nil }

// boundaryFilter writes each delimiter as if the boundary were empty. It holds
// back what may become one.
type boundaryFilter struct {
	w         io.Writer
	delimiter []byte
	kept      []byte
}

// Write implements [io.Writer].
func (f *boundaryFilter) Write(p []byte) (int, error) {
	text := append(f.kept, p...)
	for {
		i := bytes.Index(text, f.delimiter)
		if i < 0 {
			break
		}
		if _, err := f.w.Write(text[:i+len("\r\n--")]); err != nil {
			return 0, err
		}
		text = text[i+len(f.delimiter):]
	}
	n := len(text)
	for k := min(n, len(f.delimiter)-1); k > 0; k-- {
		if bytes.HasPrefix(f.delimiter, text[len(text)-k:]) {
			n = len(text) - k
			break
		}
	}
	if _, err := f.w.Write(text[:n]); err != nil {
		return 0, err
	}
	f.kept = append(f.kept[:0:0], text[n:]...)
	return len(p), nil
}

// Close implements [io.Closer].
func (f *boundaryFilter) Close() error {
	_, err := f.w.Write(f.kept)
	f.kept = nil
	return err
}
