package meter

import (
	"encoding/json"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"mana.how/edge/creditcore/proof"
)

// requestUUID is Caddy's placeholder for the id of a request, by which logs know it.
const requestUUID = "http.request.uuid"

// sign adds the receipt to a bill that was written, where the route gives one. What a
// refused request is answered has none: nothing was charged. Of several meters the
// outermost signs last, for all.
func (v *meteredRequest) sign(h http.Header) {
	delete(h, headerReceipt)
	if !v.bill.receipt || v.bill.refused {
		return
	}
	service, err := v.proof.Get(v.r.Context())
	var signed string
	if err == nil {
		signed, err = service.SignReceipt(v.receipt())
	}
	if err != nil {
		v.Log.Error("sign a receipt", zap.Error(err), zap.String("user", v.userID))
		return
	}
	h[headerReceipt] = []string{signed}
}

func (v *meteredRequest) receipt() proof.Receipt {
	r := proof.Receipt{
		UserID: v.userID, Payer: v.bill.payer(), Cost: json.Number(v.bill.cost.String()), Transactions: v.bill.entries, App: v.app(), Replayed: v.bill.replayed,
	}
	if repl, ok := v.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		r.RequestID, _ = repl.GetString(requestUUID)
	}
	return r
}
