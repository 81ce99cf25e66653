package credit

import (
	"context"
	"fmt"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/creditcore"
)

// usageDays is what a report covers where the client names no beginning, and
// maxUsageDays the longest it covers.
const (
	usageDays    = 30
	maxUsageDays = 366
)

type usageRequest struct {
	From    *string `query:"from" rule:"optional,isodate"`
	To      *string `query:"to" rule:"optional,isodate"`
	GroupBy string  `query:"groupBy" rule:"optional,oneof=app|operation|day"`
}

type usageResponse struct {
	From    string      `json:"from"`
	To      string      `json:"to"`
	GroupBy string      `json:"groupBy"`
	Usage   []usageLine `json:"usage"`
}

// usageLine is a group of charges: its app, its operation or its day
// (YYYY-MM-DD, UTC), what they cost and what of that came back.
type usageLine struct {
	Key      string            `json:"key"`
	Credits  creditcore.Amount `json:"credits"`
	Refunded creditcore.Amount `json:"refunded"`
	Requests int64             `json:"requests"`
}

// usage adds up what was used on the UTC days from one to another, both
// included. An instant stands for its day.
func usage(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req usageRequest) (usageResponse, error) {
	to := dayOf(c.Now())
	if req.To != nil {
		at, _ := validate.ISODate(*req.To)
		to = dayOf(at)
	}
	from := to.AddDate(0, 0, 1-usageDays)
	if req.From != nil {
		at, _ := validate.ISODate(*req.From)
		from = dayOf(at)
	}
	switch {
	case from.After(to):
		return usageResponse{}, endpoint.Invalid("from must not be after to")
	case from.AddDate(0, 0, maxUsageDays).Before(to):
		return usageResponse{}, endpoint.Invalid(fmt.Sprintf("from must not be more than %d days before to", maxUsageDays))
	}
	by := creditcore.ByApp
	if req.GroupBy != "" {
		by = creditcore.UsageGroup(req.GroupBy)
	}
	lines, err := ledger.Usage(ctx, c.Payer(), from, to, by)
	if err != nil {
		return usageResponse{}, err
	}
	resp := usageResponse{
		From: from.Format(time.DateOnly), To: to.Format(time.DateOnly), GroupBy: string(by), Usage: make([]usageLine, len(lines)),
	}
	for i, l := range lines {
		resp.Usage[i] = usageLine(l)
	}
	return resp, nil
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
