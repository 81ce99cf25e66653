package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The grace in which a client that got no answer may present its token again.
const refreshGrace = 10 * time.Second

// An edge that is killed under load, alone or with its embedded database,
// starts again and has lost nothing that it had promised.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	const people = 3
	users := make([]*chain, people)
	for i := range users {
		email := fmt.Sprintf("crash%d@mana.how", i)
		register(t, e, email, fmt.Sprintf("192.0.2.%d", 30+i))
		users[i] = &chain{address: fmt.Sprintf("192.0.2.%d", 40+i)}
		users[i].access, users[i].refresh = login(t, e, email, users[i].address)
	}
	browser := e.client()
	signIn(t, e, browser, "crash0@mana.how")
	ended, token := login(t, e, "crash0@mana.how", "192.0.2.50")
	want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/logout", map[string]string{"refreshToken": token}), http.StatusOK)

	for round, kill := range []func(){
		func() { _ = e.edge.Process.Kill() },
		func() { killAll(t, e) },
	} {
		var begun sync.WaitGroup
		stop := load(t, e, users, &begun)
		accounts, acknowledged := enrol(t, e, round, &begun)
		begun.Wait()
		time.Sleep(500 * time.Millisecond)
		killed := time.Now()
		kill()
		<-e.exited
		stop()
		<-acknowledged
		e.exited <- nil
		e.start(t)
		t.Logf("round %d: ready %v after the kill", round, time.Since(killed).Round(time.Millisecond))

		whoami := e.AppURL() + "/api/whoami"
		want(t, send(t, browser, http.MethodGet, whoami, nil), http.StatusOK)
		want(t, send(t, e.client(), http.MethodGet, whoami, nil, "Authorization", "Bearer "+ended), http.StatusUnauthorized)
		for i, u := range users {
			if u.rotations == 0 {
				t.Errorf("user %d did not refresh once under load", i)
			}
			passes(t, e, u.access)
			a := refreshAt(t, e, u.refresh)
			if a.StatusCode == http.StatusUnauthorized && u.unanswered && time.Since(killed) > refreshGrace {
				t.Logf("user %d: the answer to a refresh was lost, and the start took longer than the grace", i)
				u.access, u.refresh = login(t, e, fmt.Sprintf("crash%d@mana.how", i), u.address)
				continue
			}
			want(t, a, http.StatusOK)
			u.access, u.refresh = a.Text("accessToken"), a.Text("refreshToken")
			passes(t, e, u.access)
			u.rotations, u.unanswered = 0, false
		}
		if len(*accounts) == 0 {
			t.Error("nobody registered under load")
		}
		for i, email := range *accounts {
			login(t, e, email, fmt.Sprintf("10.8.%d.%d", round, i+1))
		}
	}
	text, err := os.ReadFile(filepath.Join(e.dir, "postgres", "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("automatic recovery in progress")) {
		t.Errorf("the killed database recovered nothing:\n%s", text)
	}
}

// chain is a session whose client refreshes as fast as it can.
type chain struct {
	address         string
	access, refresh string
	rotations       int
	unanswered      bool // the last refresh got no answer
}

// load keeps the chains turning until stop, or until the edge is gone. begun
// waits for the first refresh of each.
func load(t testing.TB, e *Edge, users []*chain, begun *sync.WaitGroup) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i, u := range users {
		begun.Add(1)
		wg.Go(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			client := e.client()
			defer client.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				u.unanswered = true
				a, err := try(ctx, client, http.MethodPost, e.Auth()+"/api/v1/auth/refresh",
					map[string]string{"refreshToken": u.refresh}, "X-Forwarded-For", fmt.Sprintf("10.9.%d.%d", i, n%250+1))
				if err != nil {
					return
				}
				if a.StatusCode == http.StatusServiceUnavailable {
					continue // the database went first, perhaps after it had committed
				}
				u.unanswered = false
				if a.StatusCode != http.StatusOK {
					t.Errorf("refresh under load: %d: %s", a.StatusCode, a.Body)
					return
				}
				u.access, u.refresh = a.Text("accessToken"), a.Text("refreshToken")
				u.rotations++
				first()
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// enrol makes accounts, a few at most, until the edge is gone. Those whose
// making was answered can be read once done is closed. begun waits for the first.
func enrol(t testing.TB, e *Edge, round int, begun *sync.WaitGroup) (accounts *[]string, done <-chan struct{}) {
	accounts = new([]string)
	end := make(chan struct{})
	begun.Add(1)
	go func() {
		defer close(end)
		first := sync.OnceFunc(begun.Done)
		defer first()
		client := e.client()
		defer client.CloseIdleConnections()
		for i := range 5 {
			email := fmt.Sprintf("late%d-%d@mana.how", round, i)
			a, err := try(t.Context(), client, http.MethodPost, e.Auth()+"/api/v1/auth/register",
				map[string]string{"email": email, "password": password}, "X-Forwarded-For", fmt.Sprintf("10.7.%d.%d", round, i+1))
			if err != nil || a.StatusCode == http.StatusServiceUnavailable {
				return
			}
			if a.StatusCode != http.StatusCreated {
				t.Errorf("register under load: %d: %s", a.StatusCode, a.Body)
				return
			}
			*accounts = append(*accounts, email)
			first()
		}
	}()
	return accounts, end
}

// killAll kills the edge and the database server, as a power cut would.
func killAll(t testing.TB, e *Edge) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		t.Fatal(err)
	}
	_ = e.edge.Process.Kill()
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}
