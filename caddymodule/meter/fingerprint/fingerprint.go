package fingerprint

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

	headSize     = 1 + 8 // complete, length
	completeByte = 1
)

// Fingerprint tells bodies apart. It holds whether the body was read to its end,
// how much of it was read, the SHA-256 of that, and the beginnings of the
// SHA-256 of all that stands before each checkpoint, so that a body that was
// read in part can be compared, too. It is kept with the key in the database,
// and empty where nothing is known.
type Fingerprint []byte

// Complete reports whether the body was read to its end.
func (m Fingerprint) Complete() bool { return len(m) >= headSize && m[0] == completeByte }

// Length is how much was read, without the boundaries of a multipart body.
func (m Fingerprint) Length() uint64 {
	if len(m) < headSize {
		return 0
	}
	return binary.BigEndian.Uint64(m[1:])
}

func (m Fingerprint) checkpoints() []byte {
	if len(m) < headSize+sha256.Size {
		return nil
	}
	return m[headSize+sha256.Size:]
}

// Contradicts reports whether the two are fingerprints of different bodies, as far as
// both were read.
func (m Fingerprint) Contradicts(o Fingerprint) bool {
	a, b := m.Length(), o.Length()
	switch {
	case len(m) == 0 || len(o) == 0:
		return false
	case a == b:
		return !bytes.Equal(m[1:], o[1:])
	case m.Complete() && b > a, o.Complete() && a > b:
		return true
	}
	before, after := m.checkpoints(), o.checkpoints()
	common := min(len(before), len(after))
	return !bytes.Equal(before[:common], after[:common])
}

// Extends reports whether m says more of the same body than o.
func (m Fingerprint) Extends(o Fingerprint) bool {
	return !o.Complete() && (m.Complete() || m.Length() > o.Length())
}

// digest makes the fingerprint of what is written to it.
type digest struct {
	hash        hash.Hash
	length      uint64
	next        uint64 // checkpoint
	checkpoints []byte
}

func newDigest() *digest { return &digest{hash: sha256.New(), next: firstCheckpoint} }

// Write implements [io.Writer]. It never fails.
func (d *digest) Write(p []byte) (int, error) {
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

func (d *digest) fingerprint(complete bool) Fingerprint {
	m := make(Fingerprint, headSize, headSize+sha256.Size+len(d.checkpoints))
	if complete {
		m[0] = completeByte
	}
	binary.BigEndian.PutUint64(m[1:], d.length)
	return append(d.hash.Sum(m), d.checkpoints...)
}
