package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Load is a closed loop over HTTP/1.1: each connection sends its next request
// when the last one was answered. It writes prepared bytes and reads no more of
// an answer than it must, so that it leaves the CPU to what is measured.
type Load struct {
	Address string // host:port
	Clients int
	// Request returns the bytes of a connection's nth request.
	Request func(client, n int) []byte
	// Answer judges a response; nil accepts status 200. body is valid during the call.
	Answer func(client, n, status int, body []byte) error
}

// Sample is the outcome of one round.
type Sample struct {
	Requests int
	Elapsed  time.Duration
	P50, P99 time.Duration
	// First is the median until the first byte of an answer.
	First time.Duration
	// CPU is what the process of the proxy spent in the round, 0 where nobody looked.
	CPU time.Duration
}

// PerRequest is the CPU time of the proxy's process per request.
func (s Sample) PerRequest() float64 { return float64(s.CPU) / float64(s.Requests) }

// Rate is requests a second.
func (s Sample) Rate() float64 { return float64(s.Requests) / s.Elapsed.Seconds() }

// Run loads the address for d. A failing request ends the round with its error.
func (l Load) Run(ctx context.Context, d time.Duration) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	latencies, firsts := make([][]time.Duration, l.Clients), make([][]time.Duration, l.Clients)
	faults := make([]error, l.Clients)
	began := time.Now()
	var wg sync.WaitGroup
	for client := range l.Clients {
		wg.Go(func() {
			latencies[client], firsts[client], faults[client] = l.client(ctx, client)
			if faults[client] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	if err := errors.Join(faults...); err != nil {
		return Sample{}, err
	}
	all := slices.Concat(latencies...)
	if len(all) == 0 {
		return Sample{}, errors.New("no request was answered")
	}
	first := slices.Concat(firsts...)
	slices.Sort(all)
	slices.Sort(first)
	return Sample{Requests: len(all), Elapsed: elapsed, P50: quantile(all, 0.50), P99: quantile(all, 0.99), First: quantile(first, 0.50)}, nil
}

// client returns how long each answer took, and how long its first byte.
func (l Load) client(ctx context.Context, client int) (latencies, firsts []time.Duration, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", l.Address)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 16<<10)
	latencies, firsts = make([]time.Duration, 0, 1<<14), make([]time.Duration, 0, 1<<14)
	var body []byte
	for n := 0; ctx.Err() == nil; n++ {
		request := l.Request(client, n)
		sent := time.Now()
		if err := conn.SetDeadline(sent.Add(30 * time.Second)); err != nil {
			return nil, nil, err
		}
		if _, err := conn.Write(request); err != nil {
			return nil, nil, err
		}
		if _, err := reader.Peek(1); err != nil {
			return nil, nil, fmt.Errorf("wait for the answer to request %d: %w", n, err)
		}
		firsts = append(firsts, time.Since(sent))
		var status int
		if status, body, err = readAnswer(reader, body[:0]); err != nil {
			return nil, nil, fmt.Errorf("read the answer to request %d: %w", n, err)
		}
		latencies = append(latencies, time.Since(sent))
		switch {
		case l.Answer != nil:
			err = l.Answer(client, n, status, body)
		case status != 200:
			err = fmt.Errorf("status %d: %.200s", status, body)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return latencies, firsts, nil
}

// readAnswer reads one HTTP/1.1 response and appends its body to buffer.
func readAnswer(r *bufio.Reader, buffer []byte) (status int, body []byte, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, buffer, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, buffer, fmt.Errorf("not an HTTP/1.1 answer: %.40q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, buffer, err
	}
	length, chunked := 0, false
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return status, buffer, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := strings.Cut(string(line), ":")
		switch {
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return status, buffer, err
			}
		case strings.EqualFold(name, "Transfer-Encoding"):
			chunked = strings.Contains(value, "chunked")
		}
	}
	if !chunked {
		return readBytes(r, status, buffer, length)
	}
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return status, buffer, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return status, buffer, err
		}
		if size == 0 {
			return status, buffer, discardLines(r)
		}
		if _, buffer, err = readBytes(r, status, buffer, int(size)); err != nil {
			return status, buffer, err
		}
		if _, err := r.Discard(2); err != nil { // the line end after a chunk
			return status, buffer, err
		}
	}
}

// discardLines passes over trailers, up to the empty line that ends an answer.
func discardLines(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return err
		}
	}
}

func readBytes(r *bufio.Reader, status int, buffer []byte, n int) (int, []byte, error) {
	start := len(buffer)
	buffer = slices.Grow(buffer, n)[:start+n]
	_, err := io.ReadFull(r, buffer[start:])
	return status, buffer, err
}

// get prepares a GET request; headers are whole lines without their ends.
func get(host, path string, headers ...string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + headerLines(headers) + "\r\n")
}

// post prepares a POST request with a JSON body.
func post(host, path, body string, headers ...string) []byte {
	return []byte("POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n" + headerLines(headers) + "\r\n" + body)
}

func headerLines(headers []string) string {
	if len(headers) == 0 {
		return ""
	}
	return strings.Join(headers, "\r\n") + "\r\n"
}
