package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// seededUsers are enough that no account meets its limit in a run.
const seededUsers = 5000

// measureSignIn compares logins a second with the argon2id hashes a second that
// the CPU can do, round by round.
func measureSignIn(ctx context.Context, s *stand, r *report) error {
	edge, err := s.startEdge(ctx, "reverse_proxy "+s.upstream)
	if err != nil {
		return err
	}
	if _, err := s.seed(ctx, seededUsers, 0); err != nil {
		return err
	}
	var next atomic.Int64
	load := Load{
		Address: edge.Address,
		Clients: 4 * runtime.NumCPU(), // some hash, the others wait for the disk
		Request: func(int, int) []byte {
			n := int(next.Add(1))
			return post("auth.mana.localhost", "/api/v1/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, email(n%seededUsers), password),
				"X-Forwarded-For: "+address(n))
		},
	}
	var hashes, logins []float64
	for range s.rounds {
		hashes = append(hashes, hashRate(s.round))
		sample, err := load.Run(ctx, s.round)
		if err != nil {
			return err
		}
		logins = append(logins, sample.Rate())
	}
	r.line("\n### Sign-in\n")
	r.fact("raw argon2id, all cores", fmt.Sprintf("%.1f/s", median(hashes)), "")
	r.fact("logins", fmt.Sprintf("%.1f/s", median(logins)), "")
	r.fact("ratio", fmt.Sprintf("%.3f", ratio(logins, hashes)), "≥ 0.9")
	return nil
}

// hashRate is how many password checks a second all cores can do.
func hashRate(d time.Duration) float64 {
	var done atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for salt := make([]byte, 16); time.Since(began) < d; done.Add(1) {
				hashPassword(salt)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}

// measureAPI measures refresh, each connection on a chain of its own, and validate.
func measureAPI(ctx context.Context, s *stand, r *report) error {
	edge, err := s.startEdge(ctx, "reverse_proxy "+s.upstream)
	if err != nil {
		return err
	}
	if _, err := s.seed(ctx, s.clients, 0); err != nil {
		return err
	}
	chains := make([]tokens, s.clients)
	for i := range chains {
		if chains[i], err = login(ctx, edge, i); err != nil {
			return err
		}
	}
	var next atomic.Int64
	refresh := Load{
		Address: edge.Address,
		Clients: s.clients,
		Request: func(client, _ int) []byte {
			return post("auth.mana.localhost", "/api/v1/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, chains[client].RefreshToken),
				"X-Forwarded-For: "+address(int(next.Add(1))))
		},
		Answer: func(client, _, status int, body []byte) error {
			if status != 200 {
				return fmt.Errorf("refresh: %d: %.200s", status, body)
			}
			return json.Unmarshal(body, &chains[client])
		},
	}
	validate := Load{
		Address: edge.Address,
		Clients: s.clients,
		Request: func(client, _ int) []byte {
			return post("auth.mana.localhost", "/api/v1/auth/validate", fmt.Sprintf(`{"token":%q}`, chains[client].AccessToken),
				"X-Forwarded-For: "+address(int(next.Add(1))))
		},
	}
	sides, err := s.contest(ctx, contestant{"POST /api/v1/auth/refresh", refresh}, contestant{"POST /api/v1/auth/validate", validate})
	if err != nil {
		return err
	}
	r.compare("The API", sides, nil)
	return nil
}
