package creditcore

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// Amount is a number of credits in thousandths.
type Amount int64

const (
	// Credit is one credit.
	Credit Amount = 1000
	// MaxAmount bounds what one call may move.
	MaxAmount = 1_000_000_000 * Credit
)

// ErrAmount reports a text that is no amount, or one beyond [MaxAmount].
var ErrAmount = errors.New("not an amount of credits")

// Credits is n whole credits.
func Credits(n int64) Amount { return Amount(n) * Credit }

// ParseAmount reads a decimal number as JSON writes it (RFC 8259, section 6)
// and rounds it to the nearest thousandth, halves away from zero: computed
// prices carry binary noise. It fails with [ErrAmount].
func ParseAmount(text string) (Amount, error) {
	if !isNumber(text) {
		return 0, fmt.Errorf("%w: %.40q", ErrAmount, text)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) > float64(MaxAmount/Credit) {
		return 0, fmt.Errorf("%w: %.40q is out of range", ErrAmount, text)
	}
	return Amount(math.Round(f * float64(Credit))), nil
}

// isNumber leaves out what strconv reads beyond JSON: hexadecimal, infinities,
// underscores and a leading plus.
func isNumber(text string) bool {
	digits := false
	for i := range len(text) {
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			digits = true
		case c == '-' && (i == 0 || text[i-1] == 'e' || text[i-1] == 'E'):
		case c == '+' && i > 0 && (text[i-1] == 'e' || text[i-1] == 'E'):
		case (c == '.' || c == 'e' || c == 'E') && digits:
		default:
			return false
		}
	}
	return digits
}

// String writes the amount in credits, without trailing zeros: 5, 0.02.
func (a Amount) String() string { return string(a.append(nil)) }

func (a Amount) append(b []byte) []byte {
	u := uint64(a)
	if a < 0 {
		b = append(b, '-')
		u = -u
	}
	b = strconv.AppendUint(b, u/1000, 10)
	rest := u % 1000
	if rest == 0 {
		return b
	}
	b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// MarshalJSON writes a plain number.
func (a Amount) MarshalJSON() ([]byte, error) { return a.append(nil), nil }

// UnmarshalJSON reads a number, as [ParseAmount] does.
func (a *Amount) UnmarshalJSON(raw []byte) error {
	v, err := ParseAmount(string(raw))
	if err == nil {
		*a = v
	}
	return err
}

// Share is a×part/of to the nearest whole credit, a half up, without overflow
// and at most [MaxAmount]. All of it is all of it, whole or not. The numbers
// are not negative.
func (a Amount) Share(part, of int64) Amount {
	if part == of {
		return a
	}
	return Amount(share(int64(a), part, of*int64(Credit))) * Credit
}

// share is a×part/of to the nearest integer, a half up, without overflow. The
// numbers are not negative; it is at most a×⌈part/of⌉.
func share(a, part, of int64) int64 {
	if a <= 0 || part <= 0 || of <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(a), uint64(part))
	lo, carry := bits.Add64(lo, uint64(of)/2, 0)
	hi += carry
	if hi >= uint64(of) {
		return int64(MaxAmount)
	}
	q, _ := bits.Div64(hi, lo, uint64(of))
	return int64(min(q, uint64(MaxAmount)))
}
