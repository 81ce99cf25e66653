package twofactor

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// Of the one-time codes (RFC 6238; the values are those that every authenticator
// knows) and of the backup codes.
const (
	secretSize = 20 // bytes: 160 bits, the size of the hash (RFC 4226, section 4)
	period     = 30 // seconds
	drift      = 1  // steps either way

	backupCodes = 10
	backupChars = 10 // of 5 bits
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func newSecret() []byte {
	key := make([]byte, secretSize)
	rand.Read(key)
	return key
}

// uri is what the QR code of an authenticator says.
func (f Factors) uri(account string, key []byte) string {
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + f.Issuer + ":" + account}
	query := url.Values{
		"secret": {encoding.EncodeToString(key)}, "issuer": {f.Issuer},
		"algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"},
	}
	// Authenticators take a plus sign for itself, not for a blank.
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return u.String()
}

// match finds the time step of a code, of those after the last one taken.
func match(key []byte, code string, now time.Time, last int64) (step int64, ok bool) {
	code = strings.ReplaceAll(code, " ", "")
	for step := now.Unix()/period - drift; step <= now.Unix()/period+drift; step++ {
		want, err := hotp.GenerateCodeCustom(encoding.EncodeToString(key), uint64(step), hotp.ValidateOpts{
			Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
		})
		if err == nil && step > last && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step, true
		}
	}
	return 0, false
}

// newCodes makes backup codes, as people write them down, and their digests.
func newCodes() (codes, digests []string) {
	for range backupCodes {
		raw := make([]byte, backupChars)
		rand.Read(raw)
		text := strings.ToLower(encoding.EncodeToString(raw))[:backupChars]
		codes = append(codes, text[:backupChars/2]+"-"+text[backupChars/2:])
		digests = append(digests, digestOf(text))
	}
	return codes, digests
}

// without takes a code off the list.
func without(digests []string, code string) (left []string, ok bool) {
	digest := digestOf(plainCode(code))
	i := slices.IndexFunc(digests, func(d string) bool { return subtle.ConstantTimeCompare([]byte(d), []byte(digest)) == 1 })
	if i < 0 {
		return nil, false
	}
	return slices.Delete(slices.Clone(digests), i, i+1), true
}

// plainCode is a backup code without what people write between and around its
// characters. 0 and 1 are no characters of it: who writes them means o and l.
func plainCode(code string) string {
	return strings.NewReplacer("-", "", " ", "", "0", "o", "1", "l").Replace(strings.ToLower(code))
}

func digestOf(code string) string {
	d := sha256.Sum256([]byte(code))
	return hex.EncodeToString(d[:])
}

// IsTOTP reports whether a text has the form of a one-time code, not of a backup
// code.
func IsTOTP(text string) bool {
	text = strings.ReplaceAll(text, " ", "")
	return len(text) == 6 && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}
