package services

import (
	"fmt"
	"net/url"
	"slices"

	"mana.how/edge/authcore/notice"
)

// creditsLink is where a mail about credits leads to. Plain members have no page of
// their organisation's account but of the organisation.
func (m *Mailing) creditsLink(n notice.Notice) string {
	var query url.Values
	if n.Credits.OrganizationID != "" {
		query = url.Values{"organization": {n.Credits.OrganizationID}}
	}
	switch {
	case ofTopUp(n.Kind):
		return m.link("/account/credits/auto-top-up", query)
	case n.Kind == notice.RenewalFailed:
		return m.link("/account/credits/buy", query)
	case n.Kind == notice.BudgetReached && n.Credits.OrganizationID != "":
		return m.link("/account/organizations/"+url.PathEscape(n.Credits.OrganizationID), nil)
	}
	return m.link("/account/credits", query)
}

// ofCredits reports whether a mail is about an account of credits.
func ofCredits(k notice.Kind) bool {
	return slices.Contains([]notice.Kind{notice.DebtMade, notice.RenewalFailed}, k) || k.OfCredits() || ofTopUp(k)
}

// ofTopUp reports whether a mail is about an automatic top-up. It is about money, and
// nobody can switch it off.
func ofTopUp(k notice.Kind) bool {
	return slices.Contains([]notice.Kind{notice.ToppedUp, notice.TopUpConfirm, notice.TopUpFailed, notice.TopUpCapped, notice.TopUpOff}, k)
}

// euro writes cents as euro, with a decimal point; nothing for none.
func euro(cents int64) string {
	if cents == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}
