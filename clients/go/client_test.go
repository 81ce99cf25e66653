package manaid_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	manaid "mana.how/edge/clients/go"
)

func TestErrorsAreTyped(t *testing.T) {
	t.Parallel()
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer t" || r.Header.Get("Idempotency-Key") != "k" || !strings.Contains(string(sent), `"amount":1.5`) {
			t.Errorf("sent %v %s", r.Header, sent)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c := &manaid.Client{BaseURL: server.URL + "/", AccessToken: func(context.Context) (string, error) { return "t", nil }}
	charge := func(answer int, doc string) error {
		status, body = answer, doc
		_, err := c.Charge(t.Context(), manaid.Charge{Amount: 1.5, AppID: "a", Description: "d", Key: "k"})
		return err
	}
	var short *manaid.InsufficientCreditsError
	if err := charge(402, `{"statusCode":402,"message":"Insufficient credits","code":"INSUFFICIENT_CREDITS","details":{"requiredCredits":1.5,"availableCredits":0.25}}`); !errors.As(err, &short) || short.Required != 1.5 || short.Available != 0.25 {
		t.Errorf("402: %v", err)
	}
	var limited *manaid.RateLimitedError
	if err := charge(429, `{"message":"rate limit","code":"RATE_LIMITED"}`); !errors.As(err, &limited) || limited.RetryAfter != 7*time.Second {
		t.Errorf("429: %v", err)
	}
	var unauthorized *manaid.UnauthorizedError
	if err := charge(401, `{"message":"Invalid token","code":"INVALID_TOKEN"}`); !errors.As(err, &unauthorized) || unauthorized.Code != "INVALID_TOKEN" {
		t.Errorf("401: %v", err)
	}
	var refused *manaid.APIError
	if err := charge(400, `{"message":["a","b"],"code":"VALIDATION_ERROR"}`); !errors.As(err, &refused) || refused.Message != "a; b" {
		t.Errorf("400: %v", err)
	}
	if err := charge(502, "<html>"); !errors.As(err, &refused) || refused.Status != 502 {
		t.Errorf("502: %v", err)
	}
	if err := charge(201, `{"success":true,"transaction":{"id":"t1","amount":-1.5},"newBalance":{"balance":2}}`); err != nil {
		t.Error(err)
	}
}
