package main_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// A person who starts the edge at a terminal is told where to go, and reads no
// log; without a terminal the log is JSON, as ever.
func TestTerminalSaysWhereToGo(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.writeConfig(t, "", "")
	terminal, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	e.edge = e.command(context.Background(), "run", "--config", e.config)
	e.edge.Stdin, e.edge.Stdout, e.edge.Stderr = theirs, theirs, theirs
	if err := e.edge.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	e.exited = make(chan error, 1)
	go func() { e.exited <- e.edge.Wait() }()
	t.Cleanup(func() { e.stop(t) })

	shown := new(logBuffer)
	go func() { _, _ = io.Copy(shown, terminal) }()
	e.awaitReady(t)
	for deadline := time.Now().Add(startTimeout); !strings.Contains(shown.String(), "Ctrl-C"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing says how to stop:\n%s", shown)
		}
	}
	text := strings.ReplaceAll(shown.String(), "\r\n", "\n")
	for _, want := range []string{"open      " + e.AppURL() + "\n", e.Notes() + "\n", e.Auth() + "/login", e.Auth() + "/register", e.dir + "/postgres (embedded"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n > 20 || strings.Contains(text, `{"`) {
		t.Errorf("%d lines:\n%s", n, text)
	}
	e.stop(t)

	// The same command without a terminal.
	log := new(logBuffer)
	e.edge = e.command(context.Background(), "run", "--config", e.config)
	e.edge.Stdout, e.edge.Stderr = log, log
	if err := e.edge.Start(); err != nil {
		t.Fatal(err)
	}
	e.exited = make(chan error, 1)
	go func() { e.exited <- e.edge.Wait() }()
	e.awaitReady(t)
	for line := range bytes.Lines([]byte(log.String())) {
		if !bytes.HasPrefix(line, []byte("{")) {
			t.Errorf("not JSON: %s", line)
		}
	}
}
