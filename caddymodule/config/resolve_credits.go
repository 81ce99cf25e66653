package config

import (
	"time"

	"mana.how/edge/creditcore"
)

const (
	defaultExpiryNotice = 7 * day
	// mostExpiryNotice bounds it: who is told that early forgets it.
	mostExpiryNotice = 90 * day
)

// credits reads when owners of accounts are told of them.
func (r *resolver) credits(c *CreditsConfig) (low creditcore.Amount, notice time.Duration) {
	if c == nil {
		c = &CreditsConfig{}
	}
	if text := r.expand("credits low_balance", c.LowBalance); text != "" {
		var err error
		if low, err = creditcore.ParseAmount(text); err != nil || low <= 0 || !priceCredits.MatchString(text) {
			r.fault("credits low_balance", "%q is not a number of credits above 0 with up to three decimals, such as 10", text)
		}
	}
	switch text := r.expand("credits expiry_notice", c.ExpiryNotice); text {
	case "":
		notice = defaultExpiryNotice
	case "off":
	default:
		if notice = r.duration("credits expiry_notice", text); notice > mostExpiryNotice {
			r.fault("credits expiry_notice", "%q is more than 90d", text)
		}
	}
	return low, notice
}
