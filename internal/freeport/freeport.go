// Package freeport finds ports for tests that start a server which has to be told where to
// listen.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports lie below those that systems give to connections (RFC 6335, section 6, and Linux's
// ip_local_port_range from 32768 on): one from there can be taken by any client between the
// moment it is found and the moment the server listens.
const (
	lowest  = 15_000
	highest = 32_000
	tries   = 200
)

var (
	mu    sync.Mutex
	given = make(map[int]bool)
)

// Get returns a port of 127.0.0.1 that nothing listens on, over TCP or UDP, and that this
// process has not been given before. Another process is unlikely to find the same: it is
// chosen at random.
func Get() (int, error) {
	mu.Lock()
	defer mu.Unlock()
	var err error
	for range tries {
		port := lowest + rand.IntN(highest-lowest)
		if given[port] {
			continue
		}
		if err = free(port); err == nil {
			given[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port of 127.0.0.1 in %d tries: %w", tries, err)
}

// Port is [Get] for a test.
func Port(t testing.TB) int {
	t.Helper()
	port, err := Get()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Address is 127.0.0.1 with a [Port].
func Address(t testing.TB) string {
	t.Helper()
	return address(Port(t))
}

func address(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func free(port int) error {
	tcp, err := net.Listen("tcp", address(port))
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", address(port))
	if err != nil {
		_ = tcp.Close()
		return err
	}
	_ = udp.Close()
	return tcp.Close()
}
