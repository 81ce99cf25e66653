package meter

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

const (
	// firstCheckpoint is how much of a body is marked first; every further
	// checkpoint is twice as far.
	firstCheckpoint = 64 << 10
	checkpointSize  = 16

	markHead     = 1 + 8 // complete, length
	markComplete = 1
)

// bodyMark tells bodies apart. It holds whether the body was read to its end,
// how much of it was read, the SHA-256 of that, and the beginnings of the
// SHA-256 of all that stands before each checkpoint, so that a body that was
// read in part can be compared, too. It is kept with the key in the database,
// and empty where nothing is known.
type bodyMark []byte

func (m bodyMark) complete() bool { return len(m) >= markHead && m[0] == markComplete }

// length is how much was read, without the boundaries of a multipart body.
func (m bodyMark) length() uint64 {
	if len(m) < markHead {
		return 0
	}
	return binary.BigEndian.Uint64(m[1:])
}

func (m bodyMark) checkpoints() []byte {
	if len(m) < markHead+sha256.Size {
		return nil
	}
	return m[markHead+sha256.Size:]
}

// contradicts reports whether the two are marks of different bodies, as far as
// both were read.
func (m bodyMark) contradicts(o bodyMark) bool {
	a, b := m.length(), o.length()
	switch {
	case len(m) == 0 || len(o) == 0:
		return false
	case a == b:
		return !bytes.Equal(m[1:], o[1:])
	case m.complete() && b > a, o.complete() && a > b:
		return true
	}
	before, after := m.checkpoints(), o.checkpoints()
	common := min(len(before), len(after))
	return !bytes.Equal(before[:common], after[:common])
}

// extends reports whether m says more of the same body than o.
func (m bodyMark) extends(o bodyMark) bool {
	return !o.complete() && (m.complete() || m.length() > o.length())
}

// bodyDigest makes the mark of what is written to it.
type bodyDigest struct {
	hash        hash.Hash
	length      uint64
	next        uint64 // checkpoint
	checkpoints []byte
}

func newBodyDigest() *bodyDigest { return &bodyDigest{hash: sha256.New(), next: firstCheckpoint} }

// Write implements [io.Writer]. It never fails.
func (d *bodyDigest) Write(p []byte) (int, error) {
	written := len(p)
	for d.length+uint64(len(p)) >= d.next {
		n := d.next - d.length
		d.hash.Write(p[:n])
		d.length, p = d.next, p[n:]
		d.checkpoints = append(d.checkpoints, d.hash.Sum(nil)[:checkpointSize]...)
		d.next *= 2
	}
	d.hash.Write(p)
	d.length += uint64(len(p))
	return written, nil
}

func (d *bodyDigest) mark(complete bool) bodyMark {
	m := make(bodyMark, markHead, markHead+sha256.Size+len(d.checkpoints))
	if complete {
		m[0] = markComplete
	}
	binary.BigEndian.PutUint64(m[1:], d.length)
	return append(d.hash.Sum(m), d.checkpoints...)
}
