package config

import (
	"strconv"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/coupon"
)

const (
	defaultExpiryNotice = 7 * day
	// mostExpiryNotice bounds it: who is told that early forgets it.
	mostExpiryNotice = 90 * day
	// defaultTrialDomain is how many of one domain are given a trial: who owns a
	// domain has as many addresses as they like.
	defaultTrialDomain = 5
	mostTrialDomain    = 1_000_000
)

// mostTrial and mostDaily bound what is given to everybody.
const mostTrial, mostDaily = 100_000 * creditcore.Credit, 10_000 * creditcore.Credit

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

// daily reads what accounts are given each day.
func (r *resolver) daily(c *CreditsConfig) (credits creditcore.Amount) {
	if c == nil {
		return 0
	}
	text := r.expand("credits daily", c.Daily)
	if text == "" {
		return 0
	}
	credits, err := creditcore.ParseAmount(text)
	if err != nil || credits <= 0 || credits > mostDaily || !priceCredits.MatchString(text) {
		r.fault("credits daily", "%q is not a number of credits above 0 and up to %s, with up to three decimals, such as 20", text, mostDaily)
	}
	return credits
}

// abuseHold reads from which score on gifting is held.
func (r *resolver) abuseHold(c *CreditsConfig) int {
	if c == nil {
		return abuse.DefaultThreshold
	}
	switch text := r.expand("credits abuse_hold", c.AbuseHold); text {
	case "":
		return abuse.DefaultThreshold
	case "off":
		return 0
	default:
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > abuse.MostThreshold {
			r.fault("credits abuse_hold", "%q is neither off nor a whole number from 1 to %d", text, abuse.MostThreshold)
		}
		return n
	}
}

// trial reads what new accounts are given.
func (r *resolver) trial(c *CreditsConfig) *coupon.Trial {
	if c == nil || c.Trial == nil {
		return nil
	}
	t := &coupon.Trial{DomainLimit: defaultTrialDomain}
	text := r.expand("credits trial", c.Trial.Credits)
	var err error
	if t.Credits, err = creditcore.ParseAmount(text); err != nil || t.Credits <= 0 || t.Credits > mostTrial || !priceCredits.MatchString(text) {
		r.fault("credits trial", "%q is not a number of credits above 0 and up to %s, with up to three decimals, such as 100", text, mostTrial)
	}
	if text := r.expand("credits trial expires", c.Trial.Expires); text != "" {
		if t.Life = r.duration("credits trial expires", text); t.Life > 0 && t.Life < time.Minute {
			r.fault("credits trial expires", "%q is less than a minute", text)
		}
	}
	switch text := r.expand("credits trial domain_limit", c.Trial.DomainLimit); text {
	case "":
	case "off":
		t.DomainLimit = 0
	default:
		if t.DomainLimit, err = strconv.Atoi(text); err != nil || t.DomainLimit < 1 || t.DomainLimit > mostTrialDomain {
			r.fault("credits trial domain_limit", "%q is neither off nor a number from 1 to %d", text, mostTrialDomain)
		}
	}
	return t
}
