package meter

import (
	"net/http"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
)

// refuseSpeculative answers a prefetch. Browsers drop it and ask again when the
// user does.
var refuseSpeculative = answer.Error{
	Status: http.StatusServiceUnavailable, Code: "PREFETCH_REFUSED",
	Message: "A paid request is not answered in advance",
}

// consented reports whether the request may be charged: nobody pays for what a
// browser fetches on the mere chance, or for what another site made it send
// with the user's cookie, or as a guest's. Where it is not, the request is answered.
func (v *meteredRequest) consented() (ok bool, err error) {
	if request.IsSpeculative(v.r.Header) {
		return false, v.refuseUncharged(refuseSpeculative)
	}
	if !v.ledBySite() || request.Deliberate(v.r, v.Origins) == nil {
		return true, nil
	}
	if v.r.Method != http.MethodGet || !request.IsNavigation(v.r) {
		return false, v.refuseUncharged(answer.CrossSite)
	}
	v.bill.refused = true
	v.count(metrics.OutcomeRefused)
	asked := request.Original(v.r).URL
	again := request.Origin(v.r) + asked.EscapedPath()
	if asked.RawQuery != "" {
		again += "?" + asked.RawQuery
	}
	return false, v.Hosted().Page(v.w, v.r, http.StatusForbidden, 0, pages.Price{
		Credits: v.price.String(), AtMost: v.CostFrom != "" || v.CostTokens != nil, URL: again,
	})
}

// ledBySite reports whether another site may have led a browser to send the request with
// what pays for it.
func (v *meteredRequest) ledBySite() bool {
	if v.byGuest() {
		return v.browses()
	}
	a := request.AuthOf(v.r.Context())
	return a != nil && a.ByCookie
}

func (v *meteredRequest) refuseUncharged(e answer.Error) error {
	v.bill.refused = true
	v.count(metrics.OutcomeRefused)
	answer.AllowReading(v.w.Header(), v.r, v.Origins)
	return e.Write(v.w, v.r)
}
