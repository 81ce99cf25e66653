package localpg

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// bootstrap makes the unprivileged login role and its database where they are
// missing. It is safe to repeat, and finishes what an earlier run left undone.
func bootstrap(ctx context.Context, adminDSN string, creds credentials) error {
	conn, err := pgx.Connect(ctx, adminDSN)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var role, database bool
	err = conn.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
		       EXISTS (SELECT FROM pg_database WHERE datname = $2)`, loginRole, databaseName).Scan(&role, &database)
	if err != nil {
		return err
	}
	if !role {
		verifier, err := scramVerifier(creds.Password)
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, `
			CREATE ROLE `+loginRole+`
			LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS
			PASSWORD '`+verifier+`'`); err != nil {
			return fmt.Errorf("create role: %w", err)
		}
	}
	if !database {
		if _, err := conn.Exec(ctx, `CREATE DATABASE `+databaseName+` OWNER `+loginRole); err != nil {
			return fmt.Errorf("create database: %w", err)
		}
	}
	if _, err := conn.Exec(ctx, `REVOKE ALL ON DATABASE `+databaseName+` FROM PUBLIC`); err != nil {
		return fmt.Errorf("close database to others: %w", err)
	}
	return nil
}

// scramVerifier is what PostgreSQL stores for a password (RFC 5803). Sending it
// instead of the password keeps that out of every log of the server.
func scramVerifier(password string) (string, error) {
	const iterations = 4096
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(label string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(label))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}
