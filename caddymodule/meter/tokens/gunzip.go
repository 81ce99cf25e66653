package tokens

import (
	"compress/gzip"
	"errors"
	"io"
)

// gunzip unpacks for a reader what is written to it (RFC 1952), beside whoever writes.
type gunzip struct {
	packed *io.PipeWriter
	done   chan struct{}
}

func newGunzip(text *textReader) *gunzip {
	read, write := io.Pipe()
	g := &gunzip{write, make(chan struct{})}
	go func() {
		defer close(g.done)
		if err := unpack(text, read); err != nil {
			text.lies = true
		}
		_ = read.CloseWithError(errUnpacked)
	}()
	return g
}

// errUnpacked keeps nobody waiting who writes on.
var errUnpacked = errors.New("all is unpacked")

// unpack fails where the text is not packed as it should be, or breaks off.
func unpack(text io.Writer, packed io.Reader) error {
	r, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	buffer := make([]byte, 2<<10)
	for {
		n, err := r.Read(buffer)
		if _, _ = text.Write(buffer[:n]); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
	}
}

// Write implements [io.Writer]. It never fails.
func (g *gunzip) Write(p []byte) (int, error) {
	_, _ = g.packed.Write(p)
	return len(p), nil
}

// Close waits until all is unpacked.
func (g *gunzip) Close() {
	_ = g.packed.Close()
	<-g.done
}
