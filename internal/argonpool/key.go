package argonpool

import (
	"bytes"
	"encoding/binary"
	"sync"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/blake2b"
)

const (
	version = 0x13
	typeID  = 2 // argon2id

	slices    = 4 // a pass fills its memory in so many steps
	blockSize = 1024
)

// block is the unit of memory.
type block [blockSize / 8]uint64

// memory holds []block that were wiped, of the sizes last used.
var memory sync.Pool

// IDKey is [argon2.IDKey]: passes and lanes are at least 1, else it panics; the
// memory is in KiB. It wipes the memory before it returns.
func IDKey(password, salt []byte, passes, kib uint32, lanes uint8, size uint32) []byte {
	if passes < 1 || lanes < 1 || !linked() {
		return argon2.IDKey(password, salt, passes, kib, lanes, size)
	}
	return idKey(password, salt, passes, kib, uint32(lanes), size)
}

// linked tells whether fill still does what it did when this was written.
var linked = sync.OnceValue(func() bool {
	text := []byte("argonpool")
	return bytes.Equal(idKey(text, text, 2, 32, 2, 32), argon2.IDKey(text, text, 2, 32, 2, 32))
})

func idKey(password, salt []byte, passes, kib, lanes, size uint32) []byte {
	seed := firstHash(password, salt, passes, kib, lanes, size)
	perLane := slices * max(2, kib/(slices*lanes))
	blocks := take(int(lanes * perLane))
	defer giveBack(blocks)
	for lane := range lanes {
		for i := range uint32(2) {
			var first [blockSize]byte
			longHash(first[:], seed, le32(i), le32(lane))
			blocks[lane*perLane+i].decode(&first)
		}
	}
	fill(blocks, passes, lanes*perLane, lanes, typeID)

	last := blocks[perLane-1]
	for lane := uint32(1); lane < lanes; lane++ {
		for i, v := range blocks[(lane+1)*perLane-1] {
			last[i] ^= v
		}
	}
	key := make([]byte, size)
	longHash(key, last.encode())
	return key
}

// firstHash is H_0 of section 3.2.
func firstHash(password, salt []byte, passes, kib, lanes, size uint32) []byte {
	var in []byte
	for _, v := range []uint32{lanes, size, kib, passes, version, typeID} {
		in = append(in, le32(v)...)
	}
	for _, text := range [][]byte{password, salt, nil, nil} { // no secret, no associated data
		in = append(append(in, le32(uint32(len(text)))...), text...)
	}
	h := blake2b.Sum512(in)
	return h[:]
}

// longHash fills out with H' of section 3.3.
func longHash(out []byte, parts ...[]byte) {
	in := append(le32(uint32(len(out))), bytes.Join(parts, nil)...)
	for len(out) > blake2b.Size {
		h := blake2b.Sum512(in)
		out = out[copy(out, h[:blake2b.Size/2]):]
		in = h[:]
	}
	h, err := blake2b.New(len(out), nil)
	if err != nil {
		panic(err) // out is from 1 to 64 bytes
	}
	h.Write(in)
	h.Sum(out[:0])
}

func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

func (b *block) decode(from *[blockSize]byte) {
	for i := range b {
		b[i] = binary.LittleEndian.Uint64(from[8*i:])
	}
}

func (b *block) encode() []byte {
	out := make([]byte, 0, blockSize)
	for _, v := range b {
		out = binary.LittleEndian.AppendUint64(out, v)
	}
	return out
}

func take(n int) []block {
	if used, ok := memory.Get().(*[]block); ok && len(*used) == n {
		return *used
	}
	return make([]block, n)
}

func giveBack(blocks []block) {
	clear(blocks)
	memory.Put(&blocks)
}
