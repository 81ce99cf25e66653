package proof

import (
	"crypto/sha256"
	"math/bits"
)

// Hash is a SHA-256.
type Hash [sha256.Size]byte

func leafHash(data []byte) Hash { return sha256.Sum256(append([]byte{0}, data...)) }

func nodeHash(left, right Hash) Hash {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

// tree adds up the hash of a Merkle tree (RFC 9162, section 2.1.1) from its leaves, of
// which it keeps no more than one hash for each power of two.
type tree struct {
	size int64
	full []Hash // of complete subtrees, the largest first
}

func (t *tree) add(leaf Hash) {
	t.full = append(t.full, leaf)
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.full) - 1
		t.full = append(t.full[:last-1], nodeHash(t.full[last-1], t.full[last]))
	}
	t.size++
}

// root is that of an empty tree where nothing was added.
func (t *tree) root() Hash {
	if len(t.full) == 0 {
		return sha256.Sum256(nil)
	}
	hash := t.full[len(t.full)-1]
	for i := len(t.full) - 2; i >= 0; i-- {
		hash = nodeHash(t.full[i], hash)
	}
	return hash
}

func rootOf(leaves []Hash) Hash {
	var t tree
	for _, leaf := range leaves {
		t.add(leaf)
	}
	return t.root()
}

// pathOf is the inclusion proof of a leaf (RFC 9162, section 2.1.3.1), from the leaf
// up.
func pathOf(leaves []Hash, index int) []Hash {
	if len(leaves) <= 1 {
		return []Hash{}
	}
	half := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	if index < half {
		return append(pathOf(leaves[:half], index), rootOf(leaves[half:]))
	}
	return append(pathOf(leaves[half:], index-half), rootOf(leaves[:half]))
}

// rootFrom is the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2);
// false where the path does not fit the place.
func rootFrom(leaf Hash, index, size int64, path []Hash) (Hash, bool) {
	if index < 0 || index >= size {
		return Hash{}, false
	}
	at, last := index, size-1
	hash := leaf
	for _, p := range path {
		if last == 0 {
			return Hash{}, false
		}
		if at&1 == 1 || at == last {
			hash = nodeHash(p, hash)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			hash = nodeHash(hash, p)
		}
		at, last = at>>1, last>>1
	}
	return hash, last == 0
}

func sha256Of(text string) Hash { return sha256.Sum256([]byte(text)) }
