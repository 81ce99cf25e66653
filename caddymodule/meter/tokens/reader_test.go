package tokens_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/meter/tokens"
	"mana.how/edge/creditcore"
)

const (
	stream = "text/event-stream; charset=utf-8"
	object = "application/json"
)

// answers are such as the providers give.
var answers = map[string]struct {
	media, text string
	want        tokens.Usage
}{
	"chat completion": {object, `{
  "id": "chatcmpl-1", "object": "chat.completion", "created": 1741570283, "model": "gpt",
  "choices": [{"index": 0, "message": {"role": "assistant", "content": "A \"usage\": {\"prompt_tokens\": 9} \\", "usage": {"prompt_tokens": 7}}, "finish_reason": "stop"}],
  "usage": {
    "prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 12, "cached_tokens": 5}
  },
  "service_tier": "default"
}`, tokens.Usage{Input: 93, Cached: 1024, Output: 46}},
	"embedding": {object, `{"object":"list","data":[{"embedding":[0.1,-0.2e-3,NaN],"usage":null}],"usage":{"prompt_tokens":8,"total_tokens":8}}`,
		tokens.Usage{Input: 8}},
	"chat completion, streamed": {stream, strings.ReplaceAll(`data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null}

data: {"id":"1","choices":[{"index":0,"delta":{"content":"{\"usage\""}}],"usage":null}

data: {"id":"1","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":1000000000,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0}}}

data: [DONE]

`, "\n", "\r\n"), tokens.Usage{Input: 19, Output: 1_000_000_000}},
	"completion with usage in each event": {stream, `data:{"choices":[{"text":"a"}],"usage":{"prompt_tokens":4,"completion_tokens":1}}

data:{"choices":[{"text":"b"}],"usage":{"prompt_tokens":4,"completion_tokens":2}}

`, tokens.Usage{Input: 4, Output: 2}},
	"response": {object, `{"id":"resp_1","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"ü💶"}]}],
 "usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":30},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":123}}`,
		tokens.Usage{Input: 6, Cached: 30, Output: 87}},
	"response, streamed": {stream, `event: response.created
data: {"type":"response.created","response":{"id":"resp_1","usage":null}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","delta":"Hi"}

event: response.completed
data: {"type":"response.completed","response":{"id":"resp_1","usage":{"input_tokens":11,"output_tokens":12,"total_tokens":23}}}

`, tokens.Usage{Input: 11, Output: 12}},
	"message": {object, `{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn",
 "usage":{"input_tokens":21,"cache_creation_input_tokens":188086,"cache_read_input_tokens":3,"output_tokens":393,"server_tool_use":{"web_search_requests":1}}}`,
		tokens.Usage{Input: 21, Cached: 3, CacheWrite: 188086, Output: 393}},
	"message, streamed": {stream, `: comment
event: message_start
data: {"type":"message_start","message":{"id":"msg_1","content":[],"usage":{"input_tokens":25,"cache_creation_input_tokens":null,"cache_read_input_tokens":7,"output_tokens":1}}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

`, tokens.Usage{Input: 25, Cached: 7, Output: 15}},
	"in pieces, without a blank line at the end": {stream, "\ndata\ndata:  {\"us\\u0061ge\":\ndata: {\"prompt_tokens\":\ndata:3\rdata:}}", tokens.Usage{Input: 3}},
}

func header(media string, coding ...string) http.Header {
	return http.Header{"Content-Type": {media}, "Content-Encoding": coding}
}

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for line := range strings.Lines(text) { // as a server packs that flushes
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read has a reader read the pieces.
func read(t testing.TB, h http.Header, pieces ...[]byte) (tokens.Usage, bool) {
	t.Helper()
	r := tokens.NewReader(h)
	if r == nil {
		t.Fatalf("there is no reader for %v", h)
	}
	for _, p := range pieces {
		if n, err := r.Write(p); n != len(p) || err != nil {
			t.Fatalf("read %d of %d, %v", n, len(p), err)
		}
	}
	r.Close()
	return r.Usage()
}

// Whatever the bytes that an answer is cut at, and compressed or not, it used what its
// usage object says.
func TestUsageAtEveryCut(t *testing.T) {
	t.Parallel()
	for name, a := range answers {
		for coding, text := range map[string][]byte{"identity": []byte(a.text), "gzip": packed(t, a.text)} {
			h := header(a.media, coding)
			bytewise := make([][]byte, len(text))
			for i := range text {
				bytewise[i] = text[i : i+1]
				if got, ok := read(t, h, text[:i], text[i:]); !ok || got != a.want {
					t.Fatalf("%s, %s, cut at %d: %+v, %v; want %+v", name, coding, i, got, ok, a.want)
				}
			}
			if got, ok := read(t, h, bytewise...); !ok || got != a.want {
				t.Errorf("%s, %s, byte by byte: %+v, %v; want %+v", name, coding, got, ok, a.want)
			}
		}
	}
}

// Of an answer that breaks off nothing is believed but what an event has said to its end.
func TestUsageOfWhatBreaksOff(t *testing.T) {
	t.Parallel()
	for name, a := range answers {
		whole := strings.TrimSpace(a.text)
		for coding, text := range map[string][]byte{"identity": []byte(whole), "gzip": packed(t, whole)} {
			for i := range text {
				got, ok := read(t, header(a.media, coding), text[:i])
				said := coding == "identity" && a.media == stream && (got == a.want || name == "completion with usage in each event")
				if ok && !said {
					t.Fatalf("%s, %s, broken off at %d of %d: %+v", name, coding, i, len(text), got)
				}
			}
		}
	}
}

// No number of a usage object is believed that lies beside another that does.
func TestUsageThatLies(t *testing.T) {
	t.Parallel()
	junk := strings.Repeat(`"a":[{"b":"`+strings.Repeat(`x\"`, 100)+`"}],`, 30_000)
	for usage, says := range map[string]bool{
		`{"prompt_tokens":1,"completion_tokens":2}`:                                       true,
		`{` + junk + `"prompt_tokens":1,"completion_tokens":2}`:                           true, // 10 MB
		`{"prompt_tokens":1000000001,"completion_tokens":2}`:                              false,
		`{"prompt_tokens":-1,"completion_tokens":2}`:                                      false,
		`{"prompt_tokens":"1","completion_tokens":2}`:                                     false,
		`{"prompt_tokens":1.0,"completion_tokens":2}`:                                     false,
		`{"prompt_tokens":1e3,"completion_tokens":2}`:                                     false,
		`{"prompt_tokens":1,"completion_tokens":1e400}`:                                   false,
		`{"prompt_tokens":1,"completion_tokens":NaN}`:                                     false,
		`{"prompt_tokens":1,"completion_tokens":` + strings.Repeat("9", 10<<20) + `}`:     false,
		`{"prompt_tokens":01,"completion_tokens":2}`:                                      false,
		`{"prompt_tokens":true,"completion_tokens":2}`:                                    false,
		`{"prompt_tokens":[1],"completion_tokens":2}`:                                     false,
		`{"prompt_tokens":{},"completion_tokens":2}`:                                      false,
		`{"prompt_tokens":1,"prompt_tokens":1}`:                                           false,
		`{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}`:                 false,
		`{"prompt_tokens":1,"prompt_tokens_details":[]}`:                                  false,
		`{"prompt_tokens":1,"prompt_tokens_details":3}`:                                   false,
		`{"prompt_tokens":1,"prompt_tokens_details":null}`:                                true,
		`{"prompt_tokens":1]`:                                                             false,
		`{"prompt_tokens":1}{"prompt_tokens":1}`:                                          false,
		`{"prompt_tokens":null}`:                                                          false,
		`{"completion_tokens":2}`:                                                         false,
		`{"input_tokens":2}`:                                                              false,
		`{"input_tokens":2,"output_tokens":2,"input_tokens_details":{"cached_tokens":3}}`: false,
		`{"total_tokens":2}`:                                                              false,
		`{}`:                                                                              false,
		`[]`:                                                                              false,
		`"1"`:                                                                             false,
		`7`:                                                                               false,
		`null`:                                                                            false,
		`{"prompt_tokens":1},"usage":{"prompt_tokens":1}`:                                 false,
		`{"prompt_tokens":1},"response":{"usage":{"prompt_tokens":1}}`:                    false,
		`{"prompt_tokens":1},"usage":{"completion_tokens":1}`:                             false,
		`{"prompt_tokens":1},"response":{"usage":{"completion_tokens":1}}`:                false,
		`null,"a":` + strings.Repeat("[", 600) + strings.Repeat("]", 600):                 false,
		`{"prompt_tokens":1},"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300):    true,
		`{"prompt_tokens":1},"a":{"usage":{"prompt_tokens":1}},"b":[{"prompt_tokens":"x"}]`: true,
	} {
		text := `{"usage":` + usage + `}`
		if got, ok := read(t, header(object), []byte(text)); ok != says {
			t.Errorf("%.80s: %+v, %v", usage, got, ok)
		}
		truth := `data: {"usage":{"prompt_tokens":1,"completion_tokens":2}}` + "\n\n"
		events := truth + "data: " + text + "\n\n" + truth
		// What says nothing may stand beside what does; what lies may not.
		quiet := usage == `null` || usage == `{}` || strings.HasPrefix(usage, `null,`) || strings.Contains(usage, `_tokens":null`) ||
			usage == `{"total_tokens":2}` || usage == `{"completion_tokens":2}` || usage == `{"input_tokens":2}` || strings.Contains(usage, "}{") || strings.HasSuffix(usage, `":3}}`)
		if got, ok := read(t, header(stream), []byte(events)); ok != (says || quiet) {
			t.Errorf("%.80s in a stream: %+v, %v", usage, got, ok)
		}
	}
}

func TestWhatCanBeRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		h             http.Header
		read, streams bool
	}{
		"json":       {header(object), true, false},
		"problem":    {header("application/problem+json"), true, false},
		"packed":     {header("Application/JSON", "GZIP"), true, false},
		"events":     {header(stream), true, true},
		"gzip event": {header(stream, "x-gzip"), true, false},
		"identity":   {header(stream, "identity"), true, true},
		"brotli":     {header(object, "br"), false, false},
		"twice":      {header(object, "gzip", "gzip"), false, false},
		"text":       {header("text/plain"), false, false},
		"nothing":    {http.Header{}, false, false},
	} {
		r := tokens.NewReader(c.h)
		if (r != nil) != c.read || r != nil && r.Streams() != c.streams {
			t.Errorf("%s: %+v", name, r)
		}
		if r != nil {
			r.Close()
		}
	}
	if got, ok := read(t, header(object, "gzip"), []byte(`{"usage":{"prompt_tokens":1}}`)); ok {
		t.Errorf("what is not packed, as if it were: %+v", got)
	}
}

// A stream reckons a token for each event since it said what it had used.
func TestSoFar(t *testing.T) {
	t.Parallel()
	r := tokens.NewReader(header(stream))
	text := []byte(answers["message, streamed"].text)
	var got []tokens.Usage
	for len(text) > 0 {
		n, ends := r.Next(text)
		if text = text[n:]; ends {
			got = append(got, r.SoFar())
		}
	}
	want := "[{25 7 0 1} {25 7 0 2} {25 7 0 3} {25 7 0 15} {25 7 0 16}]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	per := func(credits creditcore.Amount) creditcore.Price { return creditcore.Price{Credits: credits, Per: 1000} }
	rates := tokens.Rates{Input: per(10), Cached: per(1), CacheWrite: per(13), Output: per(50)}
	for _, c := range []struct {
		used tokens.Usage
		want creditcore.Amount
	}{
		{tokens.Usage{}, 0},
		{tokens.Usage{Output: 1}, 1}, // 0.05 of a thousandth
		{tokens.Usage{Input: 10, Output: 18}, 1},
		{tokens.Usage{Input: 10, Output: 18, Cached: 1}, 2},
		{tokens.Usage{Input: 1000, Cached: 2000, CacheWrite: 1000, Output: 3000}, 10 + 2 + 13 + 150},
		{tokens.Usage{Output: tokens.Most, Input: tokens.Most}, 60_000_000},
	} {
		if got := rates.Cost(c.used); got != c.want {
			t.Errorf("%+v costs %v, want %v", c.used, got, c.want)
		}
	}
	dear := creditcore.Price{Credits: creditcore.MaxAmount}
	if got := (tokens.Rates{Output: dear}).Cost(tokens.Usage{Output: 2}); got != creditcore.MaxAmount {
		t.Errorf("more than there is costs %v", got)
	}
}

// A stream keeps less than 64 kB, however long it is.
func TestMemoryOfAStream(t *testing.T) {
	const streams, most = 256, 64 << 10
	line := []byte(`data: {"choices":[{"delta":{"content":"` + strings.Repeat("text ", 2000) + `"}}]}` + "\n\n")
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	for range 50 {
		_, _ = w.Write(line)
	}
	_ = w.Flush()
	for coding, text := range map[string][]byte{"identity": bytes.Repeat(line, 50), "gzip": member.Bytes()} {
		inUse := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc + m.StackInuse
		}
		before := inUse()
		readers := make([]*tokens.Reader, streams)
		for i := range readers {
			readers[i] = tokens.NewReader(header(stream, coding))
			_, _ = readers[i].Write(text)
		}
		each := (int64(inUse()) - int64(before)) / streams
		for _, r := range readers {
			r.Close()
		}
		t.Logf("%s: %d bytes each", coding, each)
		if each >= most {
			t.Errorf("%s: a stream keeps %d bytes", coding, each)
		}
	}
}

// FuzzUsage: no answer says other than what it says in one piece, or less than nothing,
// and what is JSON says what another reader finds in it.
func FuzzUsage(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a.text), 7, a.media == stream)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int, events bool) {
		media := object
		if events {
			media = stream
		}
		want, says := read(t, header(media), text)
		if cut = max(0, min(cut, len(text))); says {
			for _, n := range []int64{want.Input, want.Cached, want.CacheWrite, want.Output} {
				if n < 0 || n > tokens.Most {
					t.Fatalf("%+v", want)
				}
			}
		}
		if got, ok := read(t, header(media), text[:cut], text[cut:]); ok != says || got != want {
			t.Fatalf("cut at %d: %+v, %v; want %+v, %v", cut, got, ok, want, says)
		}
		if !says || events {
			return
		}
		var answer map[string]any
		numbers := json.NewDecoder(bytes.NewReader(text))
		if numbers.UseNumber(); numbers.Decode(&answer) != nil {
			return
		}
		if usage, ok := answer["usage"].(map[string]any); ok && usage["prompt_tokens"] != nil &&
			fmt.Sprint(usage["prompt_tokens"]) != fmt.Sprint(want.Input+want.Cached) {
			t.Fatalf("%+v of %v", want, usage)
		}
	})
}
