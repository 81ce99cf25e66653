package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Bounds on the cost of a stored hash.
const (
	maxArgonMemoryKiB = 256 << 10
	maxArgonTime      = 10
	maxArgonLanes     = 16

	argonSaltSize = 16
	argonKeySize  = 32
)

var (
	errHashFormat = errors.New("unknown hash format")
	errHashCost   = errors.New("hash cost out of bounds")
)

type argonCost struct {
	memoryKiB uint32
	time      uint32
	lanes     uint8
}

// argonHash is an argon2id hash, version 1.3. Its text is the PHC string
// format: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
type argonHash struct {
	cost      argonCost
	salt, sum []byte
}

func newArgonHash(cost argonCost, password string) argonHash {
	salt := make([]byte, argonSaltSize)
	rand.Read(salt)
	return argonHash{cost: cost, salt: salt, sum: cost.key(password, salt, argonKeySize)}
}

func (c argonCost) key(password string, salt []byte, size int) []byte {
	return argon2.IDKey([]byte(password), salt, c.time, c.memoryKiB, c.lanes, uint32(size))
}

func (h argonHash) matches(password string) (bool, error) {
	sum := h.cost.key(normalize(password), h.salt, len(h.sum))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1, nil
}

// outdated reports whether a hash made at this cost would differ in strength.
func (h argonHash) outdated(cost argonCost) bool {
	return h.cost != cost || len(h.sum) != argonKeySize || len(h.salt) != argonSaltSize
}

func (h argonHash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.memoryKiB, h.cost.time, h.cost.lanes,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.sum))
}

func parseArgonHash(encoded string) (argonHash, error) {
	bad := func(err error) (argonHash, error) {
		return argonHash{}, fmt.Errorf("stored argon2id password: %w", err)
	}
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return bad(errHashFormat)
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return bad(errHashFormat)
	}
	var values [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, found := strings.CutPrefix(costs[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !found || err != nil {
			return bad(errHashFormat)
		}
		values[i] = n
	}
	m, t, p := values[0], values[1], values[2]
	if t < 1 || t > maxArgonTime || p < 1 || p > maxArgonLanes || m < 8*p || m > maxArgonMemoryKiB {
		return bad(errHashCost)
	}
	salt, err := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if err != nil || len(salt) < 8 || len(salt) > 64 {
		return bad(errHashFormat)
	}
	sum, err := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(sum) < 16 || len(sum) > 64 {
		return bad(errHashFormat)
	}
	return argonHash{cost: argonCost{uint32(m), uint32(t), uint8(p)}, salt: salt, sum: sum}, nil
}
