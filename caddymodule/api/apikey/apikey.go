// Package apikey has the routes of API keys: what users do with theirs, and the
// question of back ends whether one is good.
package apikey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/creditcore"
)

// What the core says, for clients.
var (
	errNotFound     = &endpoint.Error{Status: 404, Code: "API_KEY_NOT_FOUND", Message: "API key not found"}
	errTooMany      = &endpoint.Error{Status: 409, Code: "TOO_MANY_API_KEYS", Message: "An account has 100 live API keys at most"}
	errOrganization = &endpoint.Error{Status: 403, Code: "FORBIDDEN", Message: "Only owners and admins make API keys for an organization"}
)

// mappings answer the errors of keys.
var mappings = []endpoint.Mapping{
	{Err: apikey.ErrNotFound, Answer: errNotFound}, {Err: apikey.ErrTooMany, Answer: errTooMany}, {Err: apikey.ErrOrganization, Answer: errOrganization},
}

// Routes are those of API keys.
func Routes(ledger func(context.Context) (*creditcore.Service, error)) []endpoint.Route {
	const at = "/api/v1/api-keys"
	return []endpoint.Route{
		endpoint.Get(at, endpoint.HandleWith(ledger, list), endpoint.Rule{Summary: "The caller's API keys, newest first, those revoked included",
			Access: endpoint.User, Limit: endpoint.UserLimit}),
		endpoint.Post(at, endpoint.Handle(create), endpoint.Rule{Summary: "Make an API key, which is shown once", Status: http.StatusCreated,
			Access: endpoint.User, Limit: endpoint.PerMinute(30), Mappings: []endpoint.Mapping{mappings[1], mappings[2]},
			Errors: append(endpoint.AnswersTo(authcore.ErrUserNotFound), endpoint.ErrNotRecent)}),
		endpoint.Delete(at+"/{id}", endpoint.Handle(revoke), endpoint.Rule{Summary: "Revoke an API key",
			Access: endpoint.User, Limit: endpoint.UserLimit, Mappings: mappings[:1]}),
		endpoint.Post(at+"/validate", endpoint.Handle(check), endpoint.Rule{Summary: "Whether an API key is good, for back ends; a refusal is an answer, too",
			Access: endpoint.Anyone, Limit: endpoint.BackEndLimit}),
	}
}

// budget is what a key may spend in a period; spent is what it has spent in the
// present one.
type budget struct {
	Credits creditcore.Amount `json:"credits"`
	Period  apikey.Period     `json:"period"`
	Spent   creditcore.Amount `json:"spent"`
}

// listedKey is a key in the list of its user.
type listedKey struct {
	ID                string         `json:"id"`
	Name              string         `json:"name"`
	KeyPrefix         string         `json:"keyPrefix"`
	Scopes            []string       `json:"scopes"`
	RateLimitRequests int            `json:"rateLimitRequests"`
	RateLimitWindow   int            `json:"rateLimitWindow"`
	OrganizationID    *string        `json:"organizationId"`
	Budget            *budget        `json:"budget"`
	AllowedAddresses  []string       `json:"allowedAddresses"`
	CreatedAt         endpoint.Time  `json:"createdAt"`
	ExpiresAt         *endpoint.Time `json:"expiresAt"`
	LastUsedAt        *endpoint.Time `json:"lastUsedAt"`
	RevokedAt         *endpoint.Time `json:"revokedAt"`
}

func listedOf(k apikey.Key, spent creditcore.Amount) listedKey {
	l := listedKey{
		ID: k.ID, Name: k.Name, KeyPrefix: k.Shown, Scopes: k.Scopes, RateLimitRequests: k.Requests, RateLimitWindow: k.Window,
		OrganizationID: k.OrganizationID, AllowedAddresses: k.AllowedAddresses, CreatedAt: endpoint.Time(k.CreatedAt),
		ExpiresAt: endpoint.TimeOf(k.ExpiresAt), LastUsedAt: endpoint.TimeOf(k.LastUsedAt), RevokedAt: endpoint.TimeOf(k.RevokedAt),
	}
	if k.BudgetCredits != nil && k.BudgetPeriod != nil {
		l.Budget = &budget{creditcore.Amount(*k.BudgetCredits), *k.BudgetPeriod, spent}
	}
	return l
}

func list(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, _ endpoint.None) ([]listedKey, error) {
	keys, err := c.Auth.APIKeys(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	spent, err := ledger.KeySpending(ctx, c.Payer())
	if err != nil {
		return nil, err
	}
	out := make([]listedKey, len(keys))
	for i, k := range keys {
		out[i] = listedOf(k, spent[k.ID])
	}
	return out, nil
}

// budgetField is a budget as a client sends it.
type budgetField json.RawMessage

// Schema says what the field takes.
func (budgetField) Schema() map[string]any {
	return map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"credits", "period"},
		"properties": map[string]any{
			"credits": map[string]any{"type": "number", "minimum": 0.0005, "maximum": int64(creditcore.MaxAmount / creditcore.Credit)}, // rounded to the unit
			"period":  map[string]any{"type": "string", "enum": []string{"day", "month", "total"}},
		},
	}
}

// order reads the budget, nil where none was sent.
func (f budgetField) order() (*apikey.Budget, error) {
	if f == nil {
		return nil, nil //nolint:nilnil // none
	}
	var sent struct {
		Credits json.RawMessage `json:"credits"`
		Period  json.RawMessage `json:"period"`
	}
	dec := json.NewDecoder(bytes.NewReader(f))
	dec.DisallowUnknownFields()
	if dec.Decode(&sent) != nil {
		return nil, endpoint.Invalid("budget must have credits and period, and nothing else")
	}
	credits, err := creditcore.ParseAmount(string(sent.Credits))
	if err != nil {
		return nil, endpoint.Invalid("budget.credits must be a positive number up to " + (creditcore.MaxAmount).String())
	}
	var period string
	if json.Unmarshal(sent.Period, &period) != nil {
		period = ""
	}
	return &apikey.Budget{Credits: int64(credits), Period: apikey.Period(period)}, nil // which the core checks
}

// scopesField are scopes as a client sends them.
type scopesField []string

// Schema says what the field takes.
func (scopesField) Schema() map[string]any {
	return map[string]any{
		"maxItems": apikey.MaxScopes,
		"items":    map[string]any{"type": "string", "minLength": 1, "maxLength": principal.MaxScope, "pattern": `^[A-Za-z0-9:._/*-]+$`},
	}
}

type createKeyRequest struct {
	Name              string      `json:"name" rule:"line,max=100,notempty,string"`
	Scopes            scopesField `json:"scopes" rule:"optional"`
	RateLimitRequests *int        `json:"rateLimitRequests" rule:"optional,most=1000,least=1,integer"`
	RateLimitWindow   *int        `json:"rateLimitWindow" rule:"optional,most=3600,least=1,integer" doc:"Seconds."`
	ExpiresAt         *string     `json:"expiresAt" rule:"optional,isodate"`
	AllowedAddresses  []string    `json:"allowedAddresses" rule:"optional" doc:"Addresses and networks in CIDR notation."`
	OrganizationID    string      `json:"organizationId" rule:"optional,max=64,string"`
	Budget            budgetField `json:"budget" rule:"optional,object"`
}

// createdKey is a new key, with the key itself.
type createdKey struct {
	ID                string         `json:"id"`
	Name              string         `json:"name"`
	Key               string         `json:"key"`
	KeyPrefix         string         `json:"keyPrefix"`
	Scopes            []string       `json:"scopes"`
	RateLimitRequests int            `json:"rateLimitRequests"`
	RateLimitWindow   int            `json:"rateLimitWindow"`
	OrganizationID    *string        `json:"organizationId"`
	Budget            *budget        `json:"budget"`
	AllowedAddresses  []string       `json:"allowedAddresses"`
	CreatedAt         endpoint.Time  `json:"createdAt"`
	ExpiresAt         *endpoint.Time `json:"expiresAt"`
}

func create(ctx context.Context, c *endpoint.Call, req createKeyRequest) (createdKey, error) {
	order := apikey.Order{Name: req.Name, Scopes: req.Scopes, AllowedAddresses: req.AllowedAddresses, OrganizationID: req.OrganizationID}
	if req.RateLimitRequests != nil {
		order.Requests = *req.RateLimitRequests
	}
	if req.RateLimitWindow != nil {
		order.Window = *req.RateLimitWindow
	}
	if req.ExpiresAt != nil {
		at, _ := validate.ISODate(*req.ExpiresAt)
		order.ExpiresAt = &at
	}
	var err error
	if order.Budget, err = req.Budget.order(); err != nil {
		return createdKey{}, err
	}
	made, secret, err := c.Auth.CreateAPIKey(ctx, c.Caller, order)
	var faults apikey.Faults
	if errors.As(err, &faults) {
		return createdKey{}, endpoint.Invalid(faults...)
	}
	if err != nil {
		return createdKey{}, err
	}
	l := listedOf(made, 0)
	return createdKey{
		ID: l.ID, Name: l.Name, Key: secret, KeyPrefix: l.KeyPrefix, Scopes: l.Scopes, RateLimitRequests: l.RateLimitRequests,
		RateLimitWindow: l.RateLimitWindow, OrganizationID: l.OrganizationID, Budget: l.Budget, AllowedAddresses: l.AllowedAddresses,
		CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt,
	}, nil
}

type revokeKeyRequest struct {
	ID string `path:"id" rule:"max=64,string"`
}

type revokedKeyResponse struct {
	Success bool `json:"success"`
}

func revoke(ctx context.Context, c *endpoint.Call, req revokeKeyRequest) (revokedKeyResponse, error) {
	return revokedKeyResponse{true}, c.Auth.RevokeAPIKey(ctx, c.Caller, req.ID)
}

type checkKeyRequest struct {
	APIKey  string  `json:"apiKey" rule:"max=255,string"`
	Scope   *string `json:"scope" rule:"optional,max=255,string"`
	Address *string `json:"address" rule:"optional,max=64,string" doc:"Where the key was used from. Without it a key that is bound to addresses is refused."`
}

// checkKeyResponse is what a back end is told. Counting by the rate is up to it.
type checkKeyResponse struct {
	Valid          bool     `json:"valid"`
	UserID         string   `json:"userId,omitempty"`
	KeyID          string   `json:"keyId,omitempty"`
	OrganizationID *string  `json:"organizationId,omitempty"`
	Scopes         []string `json:"scopes,omitzero"`
	RateLimit      *keyRate `json:"rateLimit,omitempty"`
	Error          string   `json:"error,omitempty"`
}

type keyRate struct {
	Requests int `json:"requests"`
	Window   int `json:"window"` // seconds
}

// check always answers 200: speech back ends look for exactly that.
func check(ctx context.Context, c *endpoint.Call, req checkKeyRequest) (checkKeyResponse, error) {
	var addr netip.Addr
	if req.Address != nil {
		var err error
		if addr, err = netip.ParseAddr(*req.Address); err != nil {
			return checkKeyResponse{}, endpoint.Invalid("address must be an IP address")
		}
	}
	found, err := c.Auth.AuthenticateKey(ctx, req.APIKey, addr)
	switch {
	case errors.Is(err, apikey.ErrInvalid), errors.Is(err, apikey.ErrAddress):
		return checkKeyResponse{Error: err.Error()}, nil
	case err != nil:
		return checkKeyResponse{}, err
	}
	k := found.Key()
	if req.Scope != nil && *req.Scope != "" && !slices.Contains(k.Scopes, *req.Scope) {
		return checkKeyResponse{Error: "API key does not have scope: " + *req.Scope}, nil
	}
	requests, window := k.Rate()
	return checkKeyResponse{
		Valid: true, UserID: k.UserID, KeyID: k.ID, OrganizationID: k.OrganizationID, Scopes: k.Scopes,
		RateLimit: &keyRate{requests, int(window / time.Second)},
	}, nil
}
