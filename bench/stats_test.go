package main

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMedianAndRatio(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(test.in); got != test.want {
			t.Errorf("median(%v) = %v, want %v", test.in, got, test.want)
		}
	}
	if got := ratio([]float64{1, 9, 4}, []float64{2, 10, 4}); got != 0.9 {
		t.Errorf("ratio = %v", got)
	}
}

func TestMore(t *testing.T) {
	t.Parallel()
	spent := func(name string, each ...time.Duration) side {
		s := side{name: name}
		for _, cpu := range each {
			s.samples = append(s.samples, Sample{Requests: 10, CPU: cpu})
		}
		return s
	}
	sides := []side{spent("gate", 100, 200, 300), spent("other", 0, 0, 0), spent("signed", 400, 600, 500)}
	if got := more(sides, "signed", "gate"); got != 30 {
		t.Errorf("more = %v, want 30ns", got)
	}
}

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	const three = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" +
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n1\r\nx\r\n0\r\nA: 1\r\nB: 2\r\n\r\n" +
		"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
	type answer struct {
		Status int
		Body   string
	}
	var got []answer
	r := bufio.NewReader(strings.NewReader(three))
	for range 3 {
		status, body, err := readAnswer(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, answer{status, string(body)})
	}
	if diff := cmp.Diff([]answer{{200, "ok"}, {200, "x"}, {401, "abcde"}}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Test") != "1" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(server.Close)
	load := Load{Address: server.Listener.Addr().String(), Clients: 2, Request: func(int, int) []byte { return get("app", "/", "X-Test: 1") }}
	sample, err := load.Run(context.Background(), 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if sample.Requests == 0 || sample.Rate() <= 0 || sample.P99 < sample.P50 || sample.First <= 0 || sample.First > sample.P50 {
		t.Errorf("sample = %+v", sample)
	}
	load.Request = func(int, int) []byte { return get("app", "/") }
	if _, err := load.Run(context.Background(), 50*time.Millisecond); err == nil {
		t.Error("a refused request is no error")
	}
}

// A stream is heard of with its first byte, long before it is over.
func TestLoadHearsTheFirstByte(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stream(w)
		time.Sleep(100 * time.Millisecond)
	}))
	t.Cleanup(server.Close)
	sample, err := many{Load{Address: server.Listener.Addr().String(), Clients: 1, Request: func(int, int) []byte { return get("app", "/") }}, 5}.Run(context.Background(), 50*time.Millisecond)
	if err != nil || sample.Requests != 5 || sample.P50 < 100*time.Millisecond || sample.First > sample.P50-100*time.Millisecond {
		t.Errorf("%+v, %v", sample, err)
	}
	free := side{name: "free", samples: []Sample{{First: 3}, {First: 5}, {First: 9}}}
	metered := side{name: "metered", samples: []Sample{{First: 5}, {First: 12}, {First: 10}}}
	if got := later([]side{free, metered}, "metered", "free"); got != 2 {
		t.Errorf("later by %d", got)
	}
}

func TestSteadyLeavesOutTheFirstSecond(t *testing.T) {
	s, err := steady([]byte("progress: 1.0 s, 1085.7 tps, lat 18.435 ms stddev 21.291, 0 failed\n" +
		"progress: 2.0 s, 3000.0 tps, lat 10.000 ms stddev 3.662, 0 failed\n" +
		"progress: 3.0 s, 1000.0 tps, lat 30.000 ms stddev 3.268, 0 failed\ntps = 2928.399700 (without initial connection time)\n"))
	if err != nil || s.Requests != 4000 || s.Elapsed != 2*time.Second || s.P50 != 15*time.Millisecond {
		t.Errorf("steady is %+v, %v", s, err)
	}
	if _, err := steady([]byte("progress: 1.0 s, 1085.7 tps, lat 18.435 ms stddev 21.291, 0 failed\n")); err == nil {
		t.Error("the first second alone is taken for figures")
	}
}
