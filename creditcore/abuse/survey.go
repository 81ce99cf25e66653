package abuse

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// found is an account of which the survey found something.
type found struct {
	UserID   string
	Count    int
	Evidence Evidence
}

// Score looks at what accounts did in the last 90 days, stores the score of each, holds
// their gifting or ends such a hold by it, and forgets rows that say nothing any more.
func (s *Service) Score(ctx context.Context) error {
	now := s.now()
	signals, err := s.survey(ctx, now)
	if err != nil {
		return err
	}
	if err := s.store(ctx, signals, now); err != nil {
		return err
	}
	if err := s.decide(ctx); err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, system(), `DELETE FROM credits.abuse_scores WHERE score = 0 AND held_at IS NULL AND released_at IS NULL`)
	return err
}

// survey finds the signals of each account. All see the same time, but not the same
// snapshot: what is added meanwhile is found the next time.
func (s *Service) survey(ctx context.Context, now time.Time) (map[string][]Signal, error) {
	signals := map[string][]Signal{}
	err := s.db.Survey(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		clear(signals)
		since := now.Add(-window)
		for _, q := range []struct {
			kind Kind
			sql  string
			args []any
		}{
			{SpentAndRefunded, spentSQL, nil},
			{Refunds, refundsSQL, []any{freeRefunds}},
			{GiftRing, ringSQL, []any{ringWindow, pairGifts, mostPartners}},
			{Collector, collectorSQL, []any{newAccount, freeGivers}},
			{SharedCard, cardSQL, []any{freeAccounts}},
		} {
			rows, err := tx.Query(ctx, q.sql, append([]any{since, mostShown, mostFound}, q.args...)...)
			if err != nil {
				return err
			}
			list, err := pgx.CollectRows(rows, pgx.RowToStructByName[found])
			if err != nil {
				return err
			}
			for _, f := range list {
				if points := q.kind.points(f.Count); points > 0 {
					signals[f.UserID] = append(signals[f.UserID], Signal{q.kind, points, f.Count, f.Evidence})
				}
			}
		}
		return nil
	})
	return signals, err
}

// Statements of the survey have the arguments: $1 since when, $2 how much evidence is
// named, $3 how many accounts are found.
const (
	// reversedSQL are the purchases of users, not of organisations, whose money went
	// back, and whether credits of them were gone by then and are owed.
	reversedSQL = `
WITH reversed AS (
	SELECT p.user_id, p.id, p.updated_at, EXISTS (
		SELECT FROM credits.clawbacks AS c
		WHERE c.user_id = p.user_id AND c.reference = 'purchase:' || p.id AND c.kind = 'owed' AND c.returned < c.amount) AS spent
	FROM credits.purchases AS p
	WHERE p.reversed_credits > 0 AND p.updated_at >= $1 AND p.bought_by IS NULL
)`

	spentSQL = reversedSQL + `
SELECT user_id, count(*)::int AS count, jsonb_build_object('purchases', (array_agg(id ORDER BY updated_at DESC, id))[1:$2::int]) AS evidence
FROM reversed
WHERE spent
GROUP BY user_id
ORDER BY count DESC
LIMIT $3`

	refundsSQL = reversedSQL + `
SELECT user_id, count(*)::int AS count, jsonb_build_object('purchases', (array_agg(id ORDER BY updated_at DESC, id))[1:$2::int]) AS evidence
FROM reversed
GROUP BY user_id
HAVING count(*) > $4
ORDER BY count DESC
LIMIT $3`

	// givenSQL are the portions of gifts that were redeemed. The giver is looked up
	// for each, so that no more of the gifts is read than what is told of.
	givenSQL = `
WITH given AS MATERIALIZED (
	SELECT r.gift_code_id AS id, (SELECT c.creator_id FROM gifts.gift_codes AS c WHERE c.id = r.gift_code_id) AS giver,
		r.redeemer_user_id AS taker, r.created_at AS at, r.credit_transaction_id AS entry
	FROM gifts.gift_redemptions AS r
	WHERE r.status = 'success' AND r.created_at >= $1
)`

	// promotionalSQL is whether a portion of a gift, of the ledger row g.entry, has nothing
	// but promotional credits.
	promotionalSQL = `coalesce((SELECT bool_and(l.source = 'promotion') FROM credits.lots AS l WHERE l.transaction_id = g.entry), false)`

	// ringSQL looks for circles of two and three among those who gave and were given
	// to: $4 is how long one may take, $5 how many gifts of a pair count, $6 with how
	// many others somebody exchanges gifts at most. A pair with a single gift of paid
	// credits is in no circle that counts. A round is as often as each of its gifts can
	// be another one; portions of one gift are one.
	ringSQL = givenSQL + `, both_ways AS MATERIALIZED (
	SELECT giver AS id FROM given INTERSECT SELECT taker FROM given
), exchanged AS MATERIALIZED (
	SELECT g.*, ` + promotionalSQL + ` AS promotional
	FROM given AS g
	JOIN both_ways AS a ON a.id = g.giver
	JOIN both_ways AS b ON b.id = g.taker
), pairs AS MATERIALIZED (
	SELECT giver, taker FROM exchanged GROUP BY giver, taker HAVING count(DISTINCT id) > 1 OR bool_or(promotional)
), people AS MATERIALIZED (
	SELECT id FROM (SELECT giver AS id FROM pairs UNION ALL SELECT taker FROM pairs) AS p GROUP BY id HAVING count(*) <= 2 * $6::int
), gifts AS MATERIALIZED (
	SELECT * FROM (
		SELECT e.*, row_number() OVER (PARTITION BY e.giver, e.taker ORDER BY e.at DESC, e.id) AS recency
		FROM exchanged AS e
		JOIN pairs AS p ON p.giver = e.giver AND p.taker = e.taker
		JOIN people AS a ON a.id = e.giver
		JOIN people AS b ON b.id = e.taker
	) AS recent
	WHERE recency <= $5
), walks AS (
	SELECT ARRAY[a.giver, b.giver] AS members, a.id AS first, b.id AS middle, b.id AS last, a.promotional AND b.promotional AS promotional
	FROM gifts AS a
	JOIN gifts AS b ON b.giver = a.taker AND b.taker = a.giver AND b.at BETWEEN a.at AND a.at + $4::interval
UNION ALL
	SELECT ARRAY[a.giver, b.giver, c.giver], a.id, b.id, c.id, a.promotional AND b.promotional AND c.promotional
	FROM gifts AS a
	JOIN gifts AS b ON b.giver = a.taker AND b.taker <> a.giver AND b.at BETWEEN a.at AND a.at + $4::interval
	JOIN gifts AS c ON c.giver = b.taker AND c.taker = a.giver AND c.at BETWEEN b.at AND a.at + $4::interval
), rounds AS (
	SELECT members, least(count(DISTINCT first), count(DISTINCT middle), count(DISTINCT last)) AS rounds,
		least(count(DISTINCT first) FILTER (WHERE promotional), count(DISTINCT middle) FILTER (WHERE promotional), count(DISTINCT last) FILTER (WHERE promotional)) AS promotional
	FROM walks
	GROUP BY members
), circles AS (
	SELECT members, max(rounds) AS rounds, greatest(max(rounds) - 1, max(promotional)) AS counted
	FROM (
		SELECT CASE (SELECT min(m) FROM unnest(w.members) AS m)
				WHEN w.members[1] THEN w.members
				WHEN w.members[2] THEN w.members[2:] || w.members[1:1]
				ELSE w.members[3:] || w.members[1:2] END AS members, w.rounds, w.promotional
		FROM rounds AS w
	) AS w
	GROUP BY members
)
SELECT m.id AS user_id, sum(c.counted)::int AS count, jsonb_build_object('circles',
	(array_agg(jsonb_build_object('users', c.members, 'rounds', c.rounds) ORDER BY c.counted DESC, c.members))[1:$2::int]) AS evidence
FROM circles AS c
CROSS JOIN unnest(c.members) AS m(id)
WHERE c.counted > 0
GROUP BY m.id
ORDER BY count DESC
LIMIT $3`

	// collectorSQL: $4 is how old the giver's account was at most when they made the
	// gift, $5 how many givers are nothing.
	collectorSQL = givenSQL + `, many AS (
	SELECT taker FROM given GROUP BY taker HAVING count(DISTINCT giver) > $5
), collected AS (
	SELECT DISTINCT g.taker, g.giver
	FROM given AS g
	JOIN many AS m ON m.taker = g.taker
	WHERE (SELECT c.created_at < u.created_at + $4::interval FROM gifts.gift_codes AS c JOIN auth.users AS u ON u.id = c.creator_id WHERE c.id = g.id)
		AND ` + promotionalSQL + `
)
SELECT taker AS user_id, count(*)::int AS count, jsonb_build_object('users', (array_agg(giver ORDER BY giver))[1:$2::int]) AS evidence
FROM collected
GROUP BY taker
HAVING count(*) > $5
ORDER BY count DESC
LIMIT $3`

	// cardSQL: $4 is how many accounts of a card are nothing. Of several cards the one
	// with the most accounts counts.
	cardSQL = `
WITH shared AS (
	SELECT array_agg(c.user_id ORDER BY c.user_id) AS users, count(*)::int AS count
	FROM credits.cards AS c
	WHERE c.last_seen_at >= $1
	GROUP BY c.fingerprint
	HAVING count(*) > $4
), strongest AS (
	SELECT DISTINCT ON (u.id) u.id AS user_id, s.count, jsonb_build_object('users', s.users[1:$2::int]) AS evidence
	FROM shared AS s
	CROSS JOIN unnest(s.users) AS u(id)
	ORDER BY u.id, s.count DESC
)
SELECT user_id, count, evidence FROM strongest ORDER BY count DESC LIMIT $3`
)

// storedAtOnce is how many scores a statement stores.
const storedAtOnce = 1000

// store writes the scores of those with signals, and takes back those of others. Rows
// are taken in the order of accounts, as another edge may do the same; what one that
// began later has found stays.
func (s *Service) store(ctx context.Context, signals map[string][]Signal, now time.Time) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(signals)), storedAtOnce) {
		scores, texts := make([]int, len(ids)), make([]string, len(ids))
		for i, id := range ids {
			for _, signal := range signals[id] {
				scores[i] = min(scores[i]+signal.Points, mostScore)
			}
			raw, err := json.Marshal(signals[id])
			if err != nil {
				return err
			}
			texts[i] = string(raw)
		}
		if _, err := s.db.Exec(ctx, system(), storeSQL, ids, scores, texts, now); err != nil {
			return err
		}
	}
	_, err := s.db.Exec(ctx, system(),
		`UPDATE credits.abuse_scores SET score = 0, signals = '[]', scored_at = $1 WHERE score > 0 AND scored_at < $1`, now)
	return err
}

const storeSQL = `
INSERT INTO credits.abuse_scores AS a (user_id, score, signals, scored_at)
SELECT n.user_id, n.score, n.signals::jsonb, $4
FROM unnest($1::text[], $2::int[], $3::text[]) AS n(user_id, score, signals)
JOIN auth.users AS u ON u.id = n.user_id
WHERE u.deleted_at IS NULL
ORDER BY n.user_id
ON CONFLICT (user_id) DO UPDATE SET score = excluded.score, signals = excluded.signals, scored_at = excluded.scored_at
WHERE a.scored_at <= excluded.scored_at`
