package meter_test

import (
	"net/url"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/internal/edgetest"
)

// A page load that cannot be paid gets a page that says what is missing and
// where to get it.
func TestMeterShortfallPage(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 3250)
	for name, c := range map[string]struct {
		sells bool
		buy   string
		text  string
	}{
		"sells":         {true, "/account/credits/buy", "Credits kaufen"},
		"sells nothing": {false, "/account/credits", "Zu deinen Credits"},
	} {
		for kind, m := range map[string]*meter.Meter{"fixed": {Credits: "5.505"}, "cost": {Credits: "5.505", CostFrom: "X-Cost"}} {
			p.meter(m)
			m.Sells = c.sells
			base, err := url.Parse(edgetest.GateBase)
			if err != nil {
				t.Fatal(err)
			}
			m.BaseURL = base
			x := edgetest.Send(t, m, by(ada, edgetest.Ask("GET", "/make?<script>", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none", "Accept-Language: de")), edgetest.Answers(200))
			if x.Code != 402 || x.Reached > 0 || !strings.HasPrefix(x.Header().Get("Content-Type"), "text/html") {
				t.Errorf("%s, %s: %d %v", name, kind, x.Code, x.Header())
			}
			for _, part := range []string{"5,505 Credits", "3,25 Credits", "2,255 Credits", c.text, `href="` + edgetest.GateBase + c.buy + `"`, "Abgebucht wurde nichts"} {
				if !strings.Contains(x.Body.String(), part) {
					t.Errorf("%s, %s: no %q in %s", name, kind, part, x.Body)
				}
			}
			if strings.Contains(x.Body.String(), "<script") {
				t.Errorf("%s, %s: the page repeats the URL", name, kind)
			}
			wantBill(t, x.Header(), "0", "3.25")
		}
	}
	p.wantAvailable(ada, 3250)
}
