package freeport

import (
	"net"
	"testing"
)

func TestPorts(t *testing.T) {
	seen := make(map[int]bool)
	for range 100 {
		port := Port(t)
		if port < lowest || port >= highest || seen[port] {
			t.Fatalf("%d, after %d others", port, len(seen))
		}
		seen[port] = true
	}
	listener, err := net.Listen("tcp", Address(t))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if port := listener.Addr().(*net.TCPAddr).Port; free(port) == nil {
		t.Errorf("%d counts as free, while somebody listens", port)
	}
	datagrams, err := net.ListenPacket("udp", Address(t))
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	if port := datagrams.LocalAddr().(*net.UDPAddr).Port; free(port) == nil {
		t.Errorf("%d counts as free, while somebody listens for datagrams", port)
	}
}
