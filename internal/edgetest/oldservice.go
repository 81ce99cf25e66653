package edgetest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/chacha20poly1305"

	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

// OldCookie is the Cookie header that a browser sends for a token of the replaced
// service.
func OldCookie(secret, token string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(token))
	return "__Secure-mana.session_token=" + url.QueryEscape(token+"."+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// OldSigningKey is what the replaced service keeps of a key in auth.jwks: its private half
// sealed by XChaCha20-Poly1305 with the SHA-256 of the secret.
func OldSigningKey(t testing.TB, secret string, k token.Key) (public, private string) {
	t.Helper()
	publicJWK, err := token.EncodeJWK(k.Public)
	if err != nil {
		t.Fatal(err)
	}
	privateJWK, err := token.EncodeJWK(k.Private)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(secret))
	aead, err := chacha20poly1305.NewX(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return string(publicJWK), `"` + hex.EncodeToString(aead.Seal(nonce, nonce, privateJWK, nil)) + `"`
}

// OldDatabase is a database of the replaced service with so many people, made by the
// SQL of its schema and of its people, and the key that it signs with.
func OldDatabase(t testing.TB, schema, people, secret string, n int) (db *pgtest.Database, key token.Key) {
	t.Helper()
	db = pgtest.Empty(t)
	conn, err := pgx.Connect(t.Context(), db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(schema)
	run(`SELECT set_config('test.people', $1, false)`, strconv.Itoa(n))
	run(people)
	run(`ANALYZE`)
	if key, err = token.NewKey(token.EdDSA, time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	public, private := OldSigningKey(t, secret, key)
	run(`INSERT INTO auth.jwks (id, public_key, private_key, created_at) VALUES ($1, $2, $3, $4)`, key.ID, public, private, key.CreatedAt)
	return db, key
}
