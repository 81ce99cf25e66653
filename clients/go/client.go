package manaid

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds an answer of the API, in bytes.
const maxAnswer = 4 << 20

// Client calls the API of an edge, as a back end with a service key or as a user with
// an access token. Refusals are [*APIError], those that ask for something
// [*UnauthorizedError], [*InsufficientCreditsError] and [*RateLimitedError]; find them
// with [errors.As]. Amounts are credits, with up to three decimals.
type Client struct {
	// BaseURL is the base_url of the edge.
	BaseURL string
	// ServiceKey is that of a back end, empty for a user.
	ServiceKey string
	// AccessToken gives the token of the user for whom a request is made; nil for a back
	// end.
	AccessToken func(context.Context) (string, error)
	// HTTP sends the requests, a client with a timeout of 30 seconds where nil.
	HTTP *http.Client
}

var defaultHTTP = &http.Client{Timeout: 30 * time.Second}

// User is an account.
type User struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	Email         string    `json:"email"`
	EmailVerified bool      `json:"emailVerified"`
	Image         string    `json:"image"`
	Role          string    `json:"role"`
	CreatedAt     time.Time `json:"createdAt"`
}

// Tokens are what a sign-in or a refresh gives. ExpiresIn is in seconds.
type Tokens struct {
	User         User   `json:"user"`
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken"`
	ExpiresIn    int64  `json:"expiresIn"`
}

// Login signs in with a password (POST /api/v1/auth/login).
func (c *Client) Login(ctx context.Context, email, password string) (Tokens, error) {
	return call[Tokens](ctx, c, "POST", "/api/v1/auth/login", "", map[string]any{"email": email, "password": password})
}

// Refresh exchanges a refresh token for its successor (POST /api/v1/auth/refresh). Of
// those who show one within ten seconds each gets the same; later it ends the session.
func (c *Client) Refresh(ctx context.Context, refreshToken string) (Tokens, error) {
	return call[Tokens](ctx, c, "POST", "/api/v1/auth/refresh", "", map[string]any{"refreshToken": refreshToken})
}

// Logout ends the session of a refresh token (POST /api/v1/auth/logout).
func (c *Client) Logout(ctx context.Context, refreshToken string) error {
	_, err := call[struct{}](ctx, c, "POST", "/api/v1/auth/logout", "", map[string]any{"refreshToken": refreshToken})
	return err
}

// Profile is the user of the access token (GET /api/v1/auth/profile).
func (c *Client) Profile(ctx context.Context) (User, error) {
	return call[User](ctx, c, "GET", "/api/v1/auth/profile", "", nil)
}

// Validation is what the edge says of an access token.
type Validation struct {
	Valid   bool   `json:"valid"`
	Error   string `json:"error"`
	Payload Claims `json:"payload"`
}

// Validate asks the edge about an access token, revocation included (POST
// /api/v1/auth/validate).
func (c *Client) Validate(ctx context.Context, token string) (Validation, error) {
	return call[Validation](ctx, c, "POST", "/api/v1/auth/validate", "", map[string]any{"token": token})
}

// Ticket makes a ticket for one request to a site of the family, to be put into its
// query as ticket (POST /api/v1/auth/ticket). It is good for 30 seconds.
func (c *Client) Ticket(ctx context.Context, target string) (string, error) {
	made, err := call[struct {
		Ticket string `json:"ticket"`
	}](ctx, c, "POST", "/api/v1/auth/ticket", "", map[string]any{"url": target})
	return made.Ticket, err
}

// User looks a user up (GET /api/v1/internal/users/:userId). The service key needs
// users:read.
func (c *Client) User(ctx context.Context, id string) (User, error) {
	return call[User](ctx, c, "GET", "/api/v1/internal/users/"+url.PathEscape(id), "", nil)
}

// Users looks up to 100 users up (POST /api/v1/internal/users/lookup). Whoever is not
// there is left out.
func (c *Client) Users(ctx context.Context, ids ...string) ([]User, error) {
	found, err := call[struct {
		Users []User `json:"users"`
	}](ctx, c, "POST", "/api/v1/internal/users/lookup", "", map[string]any{"ids": ids})
	return found.Users, err
}

// Balance is what an account has, in credits.
type Balance struct {
	Balance     float64 `json:"balance"`
	Debt        float64 `json:"debt"`
	TotalEarned float64 `json:"totalEarned"`
	TotalSpent  float64 `json:"totalSpent"`
}

// Balance is that of the user of the access token or, with a service key, of the user
// named (GET /api/v1/credits/balance).
func (c *Client) Balance(ctx context.Context, userID string) (Balance, error) {
	path := "/api/v1/credits/balance"
	if userID != "" {
		path += "/" + url.PathEscape(userID)
	}
	return call[Balance](ctx, c, "GET", path, "", nil)
}

// Charge is what a user pays for. Key makes a repeated charge take effect once.
type Charge struct {
	UserID      string // with a service key
	Amount      float64
	AppID       string
	Description string
	Key         string
	Metadata    map[string]any
}

// Refund gives back what was charged. TransactionID is that of the charge.
type Refund struct {
	UserID        string
	Amount        float64
	AppID         string
	Description   string
	TransactionID string
	Key           string
}

// Receipt is what came of a charge or refund.
type Receipt struct {
	Transaction struct {
		ID     string  `json:"id"`
		Amount float64 `json:"amount"`
	} `json:"transaction"`
	NewBalance Balance `json:"newBalance"`
}

// Charge takes credits (POST /api/v1/credits/use). It fails with
// [*InsufficientCreditsError] where they are lacking.
func (c *Client) Charge(ctx context.Context, o Charge) (Receipt, error) {
	body := map[string]any{"amount": o.Amount, "appId": o.AppID, "description": o.Description}
	if o.UserID != "" {
		body["userId"] = o.UserID
	}
	if o.Metadata != nil {
		body["metadata"] = o.Metadata
	}
	return call[Receipt](ctx, c, "POST", "/api/v1/credits/use", o.Key, body)
}

// Refund gives credits back (POST /api/v1/credits/refund), with a service key.
func (c *Client) Refund(ctx context.Context, o Refund) (Receipt, error) {
	body := map[string]any{"userId": o.UserID, "amount": o.Amount, "appId": o.AppID, "description": o.Description}
	if o.TransactionID != "" {
		body["transactionId"] = o.TransactionID
	}
	return call[Receipt](ctx, c, "POST", "/api/v1/credits/refund", o.Key, body)
}

// call sends one request and reads the answer.
func call[T any](ctx context.Context, c *Client, method, path, key string, body any) (T, error) {
	var out T
	var content io.Reader
	if body != nil {
		doc, err := json.Marshal(body)
		if err != nil {
			return out, err
		}
		content = bytes.NewReader(doc)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.BaseURL, "/")+path, content)
	if err != nil {
		return out, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	switch {
	case c.ServiceKey != "":
		req.Header.Set("X-Service-Key", c.ServiceKey)
	case c.AccessToken != nil:
		token, err := c.AccessToken(ctx)
		if err != nil {
			return out, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	sender := c.HTTP
	if sender == nil {
		sender = defaultHTTP
	}
	resp, err := sender.Do(req)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return out, err
	}
	if resp.StatusCode >= 300 {
		return out, errorOf(resp, answer)
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("read the answer of %s %s: %w", method, path, err)
	}
	return out, nil
}
