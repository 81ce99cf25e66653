package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// batchItems are the charges of one request, as many as there may be.
	batchItems = 500
	// batchClients send such requests side by side.
	batchClients = 2
)

// bareBatch is the work of a batch in one transaction: so many accounts, which it locks in
// their order as all the others do.
const bareBatch = `\set id random(0, %[1]d)
BEGIN;
WITH locked AS (
	SELECT b.user_id FROM bench.balances AS b
	WHERE b.user_id IN (SELECT 'bench-user-' || (:id + i * 7919) %% %[2]d FROM generate_series(1, %[3]d) AS i)
	ORDER BY b.user_id FOR UPDATE
), charged AS (
	UPDATE bench.balances AS b SET balance = balance - 1, total_spent = total_spent + 1, version = version + 1, updated_at = now()
	FROM locked AS l WHERE b.user_id = l.user_id
	RETURNING b.user_id
)
INSERT INTO bench.transactions SELECT gen_random_uuid()::text, c.user_id, 'usage', -1, 'bench', 'a use', now() FROM charged AS c;
END;
`

// measureBatch counts charges, of which a request has many.
func measureBatch(ctx context.Context, s *stand, r *report, edge *proxy, _ []string) error {
	bare, err := s.newPgbench(ctx, "batch", fmt.Sprintf(bareBatch, creditAccounts-1, creditAccounts, batchItems))
	if err != nil {
		return err
	}
	bare.clients = batchClients
	const route = "POST /api/v1/credits/use/batch"
	var next atomic.Int64
	load := Load{
		Address: edge.Address, Clients: batchClients,
		Request: func(int, int) []byte {
			body, n := []byte(`{"items":[`), int(next.Add(1))
			for i := range batchItems {
				if i > 0 {
					body = append(body, ',')
				}
				body = fmt.Appendf(body, `{"userId":"bench-user-%d","amount":0.001,"appId":"bench","description":"a use","idempotencyKey":"batch-%d-%d"}`,
					(n*batchItems+i)*7919%creditAccounts, n, i)
			}
			return post("auth.mana.localhost", "/api/v1/credits/use/batch", string(append(body, "]}"...)), "X-Service-Key: "+serviceKey, "X-Forwarded-For: "+address(n))
		},
		Answer: func(_, _, status int, body []byte) error {
			if status >= 300 || !bytes.Contains(body, []byte(`"charged":`+strconv.Itoa(batchItems))) {
				return fmt.Errorf("status %d: %s", status, body[max(0, len(body)-300):])
			}
			return nil
		},
	}
	sides, err := s.contest(ctx, contestant{"pgbench, UPDATE and INSERT of 500 rows", many{bare, batchItems}}, contestant{route, many{metered{load, edge}, batchItems}})
	if err != nil {
		return err
	}
	r.compare("Charges of many accounts, 500 a request (each counts as one)", sides, map[string]string{route: "≥ 50000 a second of two cores"})
	return nil
}

// many counts what a request has many of.
type many struct {
	runner
	each int
}

// Run implements runner.
func (m many) Run(ctx context.Context, span time.Duration) (Sample, error) {
	sample, err := m.runner.Run(ctx, span)
	sample.Requests *= m.each
	return sample, err
}
