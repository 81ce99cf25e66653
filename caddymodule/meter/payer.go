package meter

import (
	"errors"

	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// The values of the option payer.
const (
	payerUser        = "user"
	payerOrg         = "org"
	payerOrgThenUser = "org_then_user"
)

// errNoOrganization means that the organisation is to pay, and the caller acts in
// none.
var errNoOrganization = errors.New("the caller acts in no organization")

// choosePayer says whose account is asked first. It fails with
// [errNoOrganization].
func (v *meteredRequest) choosePayer(who *request.Principal) error {
	if v.Payer == payerOrg || v.Payer == payerOrgThenUser {
		v.organization = who.OrganizationID
	}
	if v.Payer == payerOrg && v.organization == "" {
		return errNoOrganization
	}
	return nil
}

// takeOf asks the ledger for the credits of the payer, and where an organisation
// need not pay and does not, of the user.
func (v *meteredRequest) takeOf(ledger *creditcore.Service, key string) (charge, error) {
	c, err := v.take(ledger, key)
	if v.Payer == payerOrgThenUser && v.organization != "" && notOfOrganization(err) {
		v.organization = ""
		c, err = v.take(ledger, key)
	}
	if err == nil {
		v.bill.paidBy(v.organization)
	}
	return c, err
}

// notOfOrganization reports whether a charge fails for the organisation alone. What
// the budget of an API key does not cover, no account pays.
func notOfOrganization(err error) bool {
	var short *creditcore.InsufficientError
	return errors.As(err, &short) && !short.OfKey || noMember(err)
}

// noMember reports whether the caller has no part in the organisation any more, or
// it is gone.
func noMember(err error) bool {
	return errors.Is(err, creditcore.ErrNotMember) || errors.Is(err, creditcore.ErrAccountNotFound)
}

// payerName is a payer as clients are told.
func payerName(organization string) string {
	if organization == "" {
		return payerUser
	}
	return payerOrg + ":" + organization
}
