package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/argon2"

	"mana.how/edge/authcore/cookie"
	"mana.how/edge/internal/localpg"
)

const password = "correct horse battery"

// The default argon2id of the edge.
const (
	memoryKiB   = 19456
	passes      = 2
	parallelism = 1
)

// hashPassword does the work of one password check.
func hashPassword(salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, passes, memoryKiB, parallelism, 32)
}

func email(i int) string { return fmt.Sprintf("bench%d@mana.how", i) }

// seed puts users with one password, and browser sessions spread over them,
// into the database of the running edge. It returns the Cookie header lines of
// the sessions.
func (s *stand) seed(ctx context.Context, users, sessions int) ([]string, error) {
	dsn, ok, err := localpg.Attach(ctx, s.databaseDir())
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("the edge's database does not run")
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)

	salt := make([]byte, 16)
	rand.Read(salt)
	encoded := fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memoryKiB, passes, parallelism,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(hashPassword(salt)))
	cookies := cookie.New(baseURL, ".mana.localhost", []byte(cookieSecret))
	lines := make([]string, sessions)
	rows := make([][]any, sessions)
	now := time.Now()
	for i := range sessions {
		token := rand.Text()[:24] + fmt.Sprintf("%08d", i) // 32 alphanumerics, as the contract has them
		sum := sha256.Sum256([]byte(token))
		pair, _, _ := strings.Cut(cookies.Set(token, true, 24*time.Hour), ";")
		lines[i] = "Cookie: " + pair
		rows[i] = []any{
			"bench-session-" + fmt.Sprint(i), fmt.Sprintf("bench-user-%d", i%users),
			"sha256:" + hex.EncodeToString(sum[:]), "browser", now, now, now.Add(7 * 24 * time.Hour), now,
		}
	}

	return lines, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('role', 'mana_system', true)`); err != nil {
			return err
		}
		const insertUsers = `
			INSERT INTO auth.users (id, name, email, email_verified)
			SELECT 'bench-user-' || i, 'Bench', 'bench' || i || '@mana.how', true
			FROM generate_series(0, $1::int - 1) AS i
			ON CONFLICT DO NOTHING`
		if _, err := tx.Exec(ctx, insertUsers, users); err != nil {
			return fmt.Errorf("insert users: %w", err)
		}
		const insertAccounts = `
			INSERT INTO auth.accounts (id, account_id, provider_id, user_id, password)
			SELECT 'bench-account-' || i, 'bench-user-' || i, 'credential', 'bench-user-' || i, $2::text
			FROM generate_series(0, $1::int - 1) AS i
			ON CONFLICT DO NOTHING`
		if _, err := tx.Exec(ctx, insertAccounts, users, encoded); err != nil {
			return fmt.Errorf("insert accounts: %w", err)
		}
		// COPY does not work under row-level security.
		const insertSession = `
			INSERT INTO auth.sessions (id, user_id, token, kind, created_at, updated_at, expires_at, last_activity_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
		for start := 0; start < len(rows); start += 1000 {
			batch := new(pgx.Batch)
			for _, row := range rows[start:min(start+1000, len(rows))] {
				batch.Queue(insertSession, row...)
			}
			if err := tx.SendBatch(ctx, batch).Close(); err != nil {
				return fmt.Errorf("insert sessions: %w", err)
			}
		}
		return nil
	})
}
