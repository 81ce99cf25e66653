package price

import (
	"encoding/json"
	"errors"
	"strings"

	"mana.how/edge/creditcore"
)

// Price is a number of credits as it stands in a config. It keeps the text, so
// that whatever is wrong with it is reported with the other faults.
type Price string

// MarshalJSON writes a number, or the text where it is none.
func (p Price) MarshalJSON() ([]byte, error) {
	if _, err := p.Amount(); err == nil {
		return []byte(p), nil
	}
	return json.Marshal(string(p))
}

// UnmarshalJSON takes a number or a text.
func (p *Price) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
	}
	*p = Price(text)
	return nil
}

var errPrice = errors.New("a price is a number of credits above 0 with up to three decimals, such as 5 or 0.02")

// Amount reads digits, and up to three behind a point. What is left out of the
// text cannot change it: no exponent, no sign, nothing to be rounded.
func (p Price) Amount() (creditcore.Amount, error) {
	whole, decimals, point := strings.Cut(string(p), ".")
	if whole == "" || !Digits(whole) || point && (decimals == "" || len(decimals) > 3 || !Digits(decimals)) ||
		len(whole) > 1 && whole[0] == '0' {
		return 0, errPrice
	}
	amount, err := creditcore.ParseAmount(string(p))
	if err != nil || amount <= 0 {
		return 0, errPrice
	}
	return amount, nil
}

// Digits reports whether the text holds nothing but decimal digits.
func Digits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// CostOf reads what an upstream says that a request cost. ok is false for
// anything but one number from 0 up to the price.
func CostOf(values []string, price creditcore.Amount) (cost creditcore.Amount, ok bool) {
	if len(values) != 1 {
		return 0, false
	}
	cost, err := creditcore.ParseAmount(strings.TrimSpace(values[0]))
	return cost, err == nil && cost >= 0 && cost <= price
}
