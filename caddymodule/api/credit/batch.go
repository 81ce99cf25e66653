package credit

import (
	"context"
	"net/http"
	"sync"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
)

type batchRequest struct {
	Items endpoint.Items[useRequest] `json:"items" doc:"Charges, each as one of POST /credits/use, with an idempotencyKey of its own. They are made side by side, in no order."`
}

// batchResponse has an outcome for each item, in the order of the request.
type batchResponse struct {
	Results []chargeOutcome `json:"results"`
	Charged int             `json:"charged"` // how many items, the repeated ones included
	Failed  int             `json:"failed"`
}

// chargeOutcome is what became of an item: the status and the answer that it would have had
// alone.
type chargeOutcome struct {
	Status int                 `json:"status"`
	Result *changeResponse     `json:"result,omitempty"`
	Error  *endpoint.ItemError `json:"error,omitempty"`
}

var errBatchKey = &endpoint.Error{Status: http.StatusBadRequest, Code: "KEY_OF_ITEMS", Message: "The header Idempotency-Key is for one charge: give each item an idempotencyKey"}

// useBatch makes many charges. One that fails leaves the others alone; where one is not
// well-formed, none is made.
func useBatch(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req batchRequest) (batchResponse, error) {
	if len(c.Request.Header["Idempotency-Key"]) > 0 {
		return batchResponse{}, errBatchKey
	}
	items, err := endpoint.ReadItems(c, "items", req.Items)
	if err != nil {
		return batchResponse{}, err
	}
	resp := batchResponse{Results: make([]chargeOutcome, len(items))}
	var charging sync.WaitGroup
	for i, item := range items {
		charging.Go(func() {
			receipt, err := charge(ctx, c, ledger, item)
			if err != nil {
				resp.Results[i].Status, resp.Results[i].Error = endpoint.ItemErrorOf(c, err)
				return
			}
			done := changeOf(receipt)
			resp.Results[i] = chargeOutcome{Status: http.StatusCreated, Result: &done}
		})
	}
	charging.Wait()
	for _, r := range resp.Results {
		if r.Error == nil {
			resp.Charged++
		} else {
			resp.Failed++
		}
	}
	return resp, nil
}
