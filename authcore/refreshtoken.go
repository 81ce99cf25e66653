package authcore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"
)

// refreshPrefix makes refresh tokens easy to find in leaked text, and no
// token a JSON literal: clients read stored ones through JSON.parse.
const refreshPrefix = "mrt_"

const (
	generationSize  = 8
	maxFamilyLength = 64
)

// segments is strict, so that a token has one spelling.
var segments = base64.RawURLEncoding.Strict()

// A refresh token is refreshPrefix and base64url of
//
//	generation, 8 bytes big-endian ‖ MAC, 32 bytes ‖ family id
//
// It is not stored: who holds the secret can derive each generation of a
// family, so that concurrent presenters of one token get the same successor.

// refreshToken derives the token of a generation of a family.
func (s Secrets) refreshToken(familyID string, generation int64) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(generation))
	raw = append(raw, refreshMAC(s.Refresh, familyID, generation)...)
	raw = append(raw, familyID...)
	return refreshPrefix + segments.EncodeToString(raw)
}

// ownRefreshToken takes a token apart that this service made, also under an
// older encryption key.
func (s Secrets) ownRefreshToken(token string) (familyID string, generation int64, ok bool) {
	familyID, generation, mac, ok := parseRefreshToken(token)
	if !ok || !s.set() {
		return "", 0, false
	}
	own := hmac.Equal(mac, refreshMAC(s.Refresh, familyID, generation))
	for _, key := range s.olderRefresh {
		own = own || hmac.Equal(mac, refreshMAC(key, familyID, generation))
	}
	return familyID, generation, own
}

// refreshMAC is HMAC-SHA256 of the generation and the family id.
func refreshMAC(key []byte, familyID string, generation int64) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(generation)))
	mac.Write([]byte(familyID))
	return mac.Sum(nil)
}

// parseRefreshToken takes a token apart. Nothing in it is to be trusted until
// the MAC has been compared with [refreshMAC], in constant time.
func parseRefreshToken(token string) (familyID string, generation int64, mac []byte, ok bool) {
	encoded, found := strings.CutPrefix(token, refreshPrefix)
	if !found || len(encoded) > segments.EncodedLen(generationSize+sha256.Size+maxFamilyLength) ||
		strings.ContainsAny(encoded, "\r\n") {
		return "", 0, nil, false
	}
	raw, err := segments.DecodeString(encoded)
	if err != nil || len(raw) <= generationSize+sha256.Size {
		return "", 0, nil, false
	}
	n := binary.BigEndian.Uint64(raw)
	familyID = string(raw[generationSize+sha256.Size:])
	if n > math.MaxInt64 || !alphanumeric(familyID) {
		return "", 0, nil, false
	}
	return familyID, int64(n), raw[generationSize : generationSize+sha256.Size], true
}
