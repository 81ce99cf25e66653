package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// streamEvents is how many pieces of text the model's answer comes in.
const streamEvents = 200

// stream answers as a language model does: a piece of text an event, each of which is sent
// on its own, and last what was used.
func stream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for range streamEvents {
		_, _ = io.WriteString(w, `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1795911166,"model":"bench",`+
			`"choices":[{"index":0,"delta":{"content":" bench"},"finish_reason":null}]}`+"\n\n")
		_ = out.Flush()
	}
	_, _ = fmt.Fprintf(w, `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1795911166,"model":"bench","choices":[],`+
		`"usage":{"prompt_tokens":40,"completion_tokens":%d,"total_tokens":%d}}`+"\n\ndata: [DONE]\n\n", streamEvents, streamEvents+40)
}

// measureTokens compares a model's answer that is metered by its tokens with the same behind
// the gate alone and at a fixed price, which is charged in the ledger too, but reads nothing:
// under load, and with one connection, where nothing but the metering keeps the first byte.
func measureTokens(ctx context.Context, s *stand, r *report, edge *proxy, bearers []string) error {
	const free, fixed, tokens = "the gate alone", "the gate and a fixed price", "cost_tokens"
	load := func(path string, clients int) runner {
		var next atomic.Int64
		return metered{Load{Address: edge.Address, Clients: clients, Request: func(int, int) []byte {
			return get(appHost, path, bearers[int(next.Add(1))%len(bearers)])
		}, Answer: func(_, _, status int, body []byte) error {
			if status != 200 || !bytes.HasSuffix(body, []byte("data: [DONE]\n\n")) {
				return fmt.Errorf("status %d: %.200s", status, body)
			}
			return nil
		}}, edge}
	}
	sides, err := s.contest(ctx, contestant{free, load("/stream-free", s.clients)}, contestant{fixed, load("/stream-paid", s.clients)}, contestant{tokens, load("/stream-metered", s.clients)})
	if err != nil {
		return err
	}
	r.compare(fmt.Sprintf("A stream of %d events of a language model", streamEvents), sides, map[string]string{tokens: "rate ≥ 0.9"})
	alone, err := s.contest(ctx, contestant{free, load("/stream-free", 1)}, contestant{fixed, load("/stream-paid", 1)}, contestant{tokens, load("/stream-metered", 1)})
	if err != nil {
		return err
	}
	r.line("")
	r.fact("the first byte of a metered stream comes later than behind the gate alone, with one connection, by", later(alone, tokens, free).Round(10*time.Microsecond).String(), "< 1ms")
	r.fact("and than at a fixed price by", later(alone, tokens, fixed).Round(10*time.Microsecond).String(), "")
	return nil
}
