package proofofwork

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "SHA-256"

	// MaxNumber is the largest number that solves a challenge: half as many hashes
	// are tried on average, a second of a phone's.
	MaxNumber = 100_000
	// TTL is how long a challenge can be solved.
	TTL = 10 * time.Minute

	// MaxPayload bounds a solution, in bytes.
	MaxPayload = 1024
)

// ErrInvalid means that a solution is none, or none any more.
var ErrInvalid = errors.New("invalid proof of work")

// Challenge is what a client is asked, as ALTCHA has it: the number from 0 to
// MaxNumber whose decimal digits behind Salt have the SHA-256 Challenge, in hex.
type Challenge struct {
	Algorithm string `json:"algorithm"`
	Challenge string `json:"challenge"`
	MaxNumber int    `json:"maxnumber"`
	Salt      string `json:"salt"`
	Signature string `json:"signature"`
}

// solution is what the client answers, as JSON in base64. Other members, such as
// how long it took, count for nothing.
type solution struct {
	Algorithm string          `json:"algorithm"`
	Challenge string          `json:"challenge"`
	Number    json.RawMessage `json:"number"`
	Salt      string          `json:"salt"`
	Signature string          `json:"signature"`
}

// Taken names what was taken, for who keeps that it is taken once, until Expires.
type Taken struct {
	Digest  [sha256.Size]byte
	Expires time.Time
}

// Authority makes challenges and tickets, and checks what comes back. The key is
// shared by all edges.
type Authority struct {
	Key []byte
	Now func() time.Time
}

// New is a challenge from now on.
func (a Authority) New() (Challenge, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(MaxNumber+1))
	if err != nil {
		return Challenge{}, err
	}
	var random [12]byte
	rand.Read(random[:])
	salt := hex.EncodeToString(random[:]) + "?expires=" + strconv.FormatInt(a.Now().Add(TTL).Unix(), 10) + "&"
	challenge := hashOf(salt, n.Int64())
	return Challenge{
		Algorithm: algorithm, Challenge: challenge, MaxNumber: MaxNumber, Salt: salt, Signature: a.sign("altcha", challenge),
	}, nil
}

var saltForm = regexp.MustCompile(`^[0-9a-f]{24}\?expires=([1-9][0-9]{9,10})&$`)

// Check reads a solution. It fails with [ErrInvalid].
func (a Authority) Check(payload string) (Taken, error) {
	if len(payload) > MaxPayload {
		return Taken{}, ErrInvalid
	}
	raw, err := decode(payload)
	var s solution
	if err != nil || json.Unmarshal(raw, &s) != nil || s.Algorithm != algorithm {
		return Taken{}, ErrInvalid
	}
	form := saltForm.FindStringSubmatch(s.Salt)
	if form == nil {
		return Taken{}, ErrInvalid
	}
	seconds, err := strconv.ParseInt(form[1], 10, 64)
	if err != nil {
		return Taken{}, ErrInvalid
	}
	// Whatever number has the hash is the one that was drawn.
	number, err := strconv.ParseInt(string(s.Number), 10, 64)
	if err != nil {
		return Taken{}, ErrInvalid
	}
	expires := time.Unix(seconds, 0)
	if !a.Now().Before(expires) || !hmac.Equal([]byte(s.Signature), []byte(a.sign("altcha", s.Challenge))) || hashOf(s.Salt, number) != s.Challenge {
		return Taken{}, ErrInvalid
	}
	return Taken{sha256.Sum256([]byte("altcha\x00" + s.Challenge)), expires}, nil
}

// decode takes base64 as browsers write it, or as addresses and headers need it.
func decode(payload string) ([]byte, error) {
	payload = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(payload), "=")
	return base64.RawStdEncoding.DecodeString(payload)
}

// Solve finds the solution of a challenge, for clients. It fails with
// [ErrInvalid] where there is none.
func Solve(c Challenge) (payload string, err error) {
	if c.Algorithm != algorithm || c.MaxNumber > 100*MaxNumber {
		return "", ErrInvalid
	}
	for n := range int64(c.MaxNumber) + 1 {
		if hashOf(c.Salt, n) == c.Challenge {
			raw, err := json.Marshal(solution{c.Algorithm, c.Challenge, json.RawMessage(strconv.FormatInt(n, 10)), c.Salt, c.Signature})
			return base64.StdEncoding.EncodeToString(raw), err
		}
	}
	return "", ErrInvalid
}

func hashOf(salt string, number int64) string {
	sum := sha256.Sum256(strconv.AppendInt([]byte(salt), number, 10))
	return hex.EncodeToString(sum[:])
}

// sign is the HMAC-SHA256 of a text under the key of its purpose, in hex.
func (a Authority) sign(purpose, text string) string {
	derived := hmac.New(sha256.New, a.Key)
	derived.Write([]byte(purpose))
	mac := hmac.New(sha256.New, derived.Sum(nil))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}
