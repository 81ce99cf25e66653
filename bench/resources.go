package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// cachedSessions is the size of the memory target.
const cachedSessions = 100_000

// measureMemory reads the resident set of the edge, PostgreSQL not counted.
func measureMemory(ctx context.Context, s *stand, r *report) error {
	edge, err := s.startEdge(ctx, "mana_auth\n\t\treverse_proxy "+s.upstream)
	if err != nil {
		return err
	}
	settle(ctx, 5*time.Second)
	idle, err := edge.rss()
	if err != nil {
		return err
	}
	cookies, err := s.seed(ctx, 1000, cachedSessions)
	if err != nil {
		return err
	}
	// A little traffic first, so that the cost of connections is not counted as the sessions'.
	warm := Load{Address: edge.Address, Clients: s.clients, Request: func(int, int) []byte { return get(appHost, "/", cookies[0]) }}
	if _, err := warm.Run(ctx, s.round); err != nil {
		return err
	}
	settle(ctx, 5*time.Second)
	before, err := edge.rss()
	if err != nil {
		return err
	}
	share := (len(cookies) + s.clients - 1) / s.clients
	sweepCtx, done := context.WithCancel(ctx)
	defer done()
	left := make(chan struct{}, s.clients)
	var missed atomic.Int64
	sweep := Load{
		Address: edge.Address, Clients: s.clients,
		Request: func(client, n int) []byte {
			if n == share {
				left <- struct{}{}
			}
			return get(appHost, "/", cookies[(client*share+n%share)%len(cookies)])
		},
		Answer: func(_, _, status int, body []byte) error {
			switch status {
			case 200:
			case 503: // a lookup that a busy machine did not finish in time
				missed.Add(1)
			default:
				return fmt.Errorf("status %d: %.200s", status, body)
			}
			return nil
		},
	}
	go func() {
		for range s.clients {
			select {
			case <-left:
			case <-sweepCtx.Done():
				return
			}
		}
		done()
	}()
	if _, err := sweep.Run(sweepCtx, 10*time.Minute); err != nil {
		return err
	}
	settle(ctx, 5*time.Second)
	after, err := edge.rss()
	if err != nil {
		return err
	}
	r.line("\n### Memory\n")
	r.fact("idle", fmt.Sprintf("%.0f MiB", idle), "< 90 MiB")
	r.fact("100 000 cached sessions", fmt.Sprintf("%.0f MiB more", after-before), "< 100 MiB")
	if n := missed.Load(); n > 0 {
		r.fact("lookups that were refused, so not cached", fmt.Sprint(n), "")
	}
	return nil
}

// measureStart starts the edge again and again on one initialised database.
func measureStart(ctx context.Context, s *stand, r *report) error {
	var took []float64
	for i := range s.rounds + 1 {
		began := time.Now()
		edge, err := s.startEdge(ctx, "mana_auth\n\t\treverse_proxy "+s.upstream)
		if err != nil {
			return err
		}
		if i > 0 { // the first initialises the database
			took = append(took, time.Since(began).Seconds())
		}
		edge.stop()
	}
	r.line("\n### Cold start\n")
	r.fact("process start to ready", fmt.Sprintf("%.2f s", median(took)), "< 2 s")
	return nil
}

func settle(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
