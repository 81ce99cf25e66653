package passkey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"
)

// purpose is the ceremony that a state serves.
type purpose byte

const (
	registration purpose = iota + 1
	signIn
	secondFactor
)

const (
	keySize       = 32
	challengeSize = 32
	headSize      = 1 + 8 + challengeSize
	maxUserID     = 64 // bytes of a user handle
)

// state is what a ceremony knows of its first half: base64url of
//
//	purpose, 1 byte ‖ end, 8 bytes of Unix seconds ‖ challenge, 32 bytes ‖ user id ‖ HMAC-SHA256, 32 bytes
//
// at most 183 characters. It is not secret from who has it.
type state struct {
	purpose   purpose
	expires   time.Time
	challenge []byte
	userID    string // empty where any user may answer
}

// newState is a state from now on.
func (rp *RelyingParty) newState(p purpose, challenge []byte, userID string) string {
	raw := binary.BigEndian.AppendUint64([]byte{byte(p)}, uint64(rp.now().Add(StateTTL).Unix()))
	raw = append(raw, challenge...)
	raw = append(raw, userID...)
	return base64.RawURLEncoding.EncodeToString(append(raw, rp.mac(raw)...))
}

// open reads a state that serves one of these ceremonies, or fails with
// [ErrState].
func (rp *RelyingParty) open(text string, purposes ...purpose) (state, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < headSize+sha256.Size {
		return state{}, ErrState
	}
	// The decoder skips line breaks and takes any trailing bits: a state has one
	// spelling.
	if base64.RawURLEncoding.EncodeToString(raw) != text {
		return state{}, ErrState
	}
	raw, mac := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if !hmac.Equal(mac, rp.mac(raw)) {
		return state{}, ErrState
	}
	s := state{
		purpose:   purpose(raw[0]),
		expires:   time.Unix(int64(binary.BigEndian.Uint64(raw[1:])), 0),
		challenge: raw[1+8 : headSize],
		userID:    string(raw[headSize:]),
	}
	if !slices.Contains(purposes, s.purpose) || !rp.now().Before(s.expires) {
		return state{}, ErrState
	}
	return s, nil
}

func (s state) digest() []byte {
	sum := sha256.Sum256(s.challenge)
	return sum[:]
}

func (rp *RelyingParty) mac(raw []byte) []byte {
	mac := hmac.New(sha256.New, rp.key)
	mac.Write([]byte("passkey state\x00"))
	mac.Write(raw)
	return mac.Sum(nil)
}
