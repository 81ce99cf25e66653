package meter

import (
	"net/http"
	"strings"

	"mana.how/edge/caddymodule/meter/upstream"
)

// awaitsTrailer reports whether what the request came to stands in the trailer
// of the response (RFC 9110, section 6.5): where the upstream announces the
// cost there, and where it speaks gRPC, which announces nothing.
func (w *meterWriter) awaitsTrailer(h http.Header) bool {
	if upstream.IsGRPC(h) {
		return h[upstream.HeaderGRPCStatus] == nil && (w.m.CostFrom != "" || len(w.m.free.GRPC) > 0)
	}
	return w.m.CostFrom != "" && announces(h, w.m.CostFrom)
}

func announces(h http.Header, trailer string) bool {
	for _, value := range h["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(name), trailer) {
				return true
			}
		}
	}
	return false
}

// announceBill tells the client to look for the bill in the trailer. In
// HTTP/1.1 that goes with a chunked body only (RFC 9112, section 7.1.2).
func announceBill(h http.Header, r *http.Request) {
	names := append(h["Trailer"], headerCost, headerRemaining, headerPayer)
	if b, ok := r.Context().Value(billKey{}).(*bill); ok && b.receipt {
		names = append(names, headerReceipt)
	}
	h["Trailer"] = []string{strings.Join(names, ", ")}
	if r.ProtoMajor == 1 {
		delete(h, "Content-Length")
	}
}

// trailer is what the upstream said when the body was over, and takes from it
// what is not for the client. A stream of gRPC that ends without a status has
// lost its upstream.
func (w *meterWriter) trailer(h http.Header) (e upstream.Result, said statement) {
	said = w.used()
	e = upstream.ResultOf(w.r.Context(), w.status, nil)
	e.Begun = true
	if upstream.IsGRPC(h) {
		e.GRPC = upstream.GRPCCodeOf(trailing(h, upstream.HeaderGRPCStatus))
		if e.GRPC == upstream.GRPCUnknown && !e.Abort {
			e.GRPC = upstream.GRPCUnavailable
		}
	}
	if w.m.CostFrom != "" {
		said.values = trailing(h, w.m.CostFrom)
	}
	w.takeCost()
	return e, said
}

// trailing are the values of a trailer field, announced or not.
func trailing(h http.Header, name string) []string {
	for _, key := range []string{http.CanonicalHeaderKey(name), http.TrailerPrefix + http.CanonicalHeaderKey(name)} {
		if values := h[key]; values != nil {
			return values
		}
	}
	return nil
}
