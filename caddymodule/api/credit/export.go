package credit

import (
	"context"
	"encoding/csv"
	"io"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/creditcore"
)

// exportPage is how many rows are read at once for a file.
const exportPage = 200

// export answers with the ledger that a filter chooses as CSV (RFC 4180), newest
// first. It is written as it is read: a ledger may be long.
func export(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req historyRequest) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, accountPath); away != nil || err != nil {
		return away, err
	}
	who, err := c.ManageFor(ctx, req.Organization)
	if err != nil {
		return nil, err
	}
	filter, err := req.filter(c)
	if err != nil {
		return nil, err
	}
	return endpoint.Download{
		Filename: "credits-" + c.Now().UTC().Format(time.DateOnly) + ".csv", ContentType: "text/csv; charset=utf-8",
		Content: func(w io.Writer) error { return writeHistory(ctx, w, who, ledger, filter) },
	}, nil
}

func writeHistory(ctx context.Context, w io.Writer, who creditcore.Caller, ledger *creditcore.Service, filter creditcore.HistoryFilter) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	columns := []string{"createdAt", "type", "appId", "operation", "description", "amount", "balanceAfter", "id"}
	if who.Organization != "" {
		columns = append(columns, "userId")
	}
	if err := out.Write(columns); err != nil {
		return err
	}
	for {
		entries, err := ledger.HistoryOf(ctx, who, filter, exportPage)
		if err != nil {
			return err
		}
		for _, e := range entries {
			row := []string{
				e.CreatedAt.UTC().Format(time.RFC3339), string(e.Type), endpoint.CSVCell(e.AppID), endpoint.CSVCell(e.Operation),
				endpoint.CSVCell(e.Description), e.Amount.String(), e.BalanceAfter.String(), e.ID,
			}
			if who.Organization != "" {
				row = append(row, endpoint.CSVCell(endpoint.TextOf(e.SpentBy)))
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
		if out.Flush(); out.Error() != nil || len(entries) < exportPage {
			return out.Error()
		}
		filter.Before = entries[len(entries)-1].Sequence
	}
}
