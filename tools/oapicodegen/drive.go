// Oapicodegen drives routes of a running edge by the client that oapi-codegen generates
// of its OpenAPI document: api.gen.go, which a test puts beside this file. With the
// argument walk it calls what it is told to, see [walk].
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/oapi-codegen/runtime/types"
)

func equal[T comparable](got, want T) {
	if got != want {
		log.Fatalf("got %v, want %v", got, want)
	}
}

// must is what a call has answered, which must have been a success.
func must[T any](answer *T, body []byte) T {
	if answer == nil {
		log.Fatalf("refused: %s", body)
	}
	return *answer
}

// client sends a header with each request.
func client(header, value string) *ClientWithResponses {
	c, err := NewClientWithResponses(os.Getenv("MANA_URL"), WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set(header, value)
		return nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// sent is the answer to a request that has gone through.
func sent[T any](answer *T, err error) *T {
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "walk" {
		if err := walk(os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx := context.Background()
	guest := client("User-Agent", "oapi-codegen")
	email := types.Email(os.Getenv("MANA_EMAIL"))
	login := sent(guest.LoginWithResponse(ctx, LoginRequest{Email: email, Password: os.Getenv("MANA_PASSWORD")}))
	tokens := must(login.JSON200, login.Body)
	user, backend := client("Authorization", "Bearer "+tokens.AccessToken), client("X-Service-Key", os.Getenv("MANA_SERVICE_KEY"))

	p := sent(user.ProfileWithResponse(ctx))
	profile := must(p.JSON200, p.Body)
	equal(profile.Email, string(email))
	found := sent(backend.LookUpUsersWithResponse(ctx, LookUpUsersRequest{Ids: []string{profile.Id}}))
	equal(must(found.JSON200, found.Body).Users[0].Id, profile.Id)
	sessions := sent(user.ListSessionsWithResponse(ctx))
	must(sessions.JSON200, sessions.Body)
	settings := sent(user.SettingsWithResponse(ctx))
	must(settings.JSON200, settings.Body)

	b := sent(user.BalanceWithResponse(ctx, nil))
	balance := must(b.JSON200, b.Body).Balance
	amount, key, refundKey := 1.5, "oapi-codegen-1", "oapi-codegen-2"
	order := ChargeCreditsRequest{UserId: &profile.Id, Amount: &amount, AppId: "app", Description: "a test"}
	charge := func() string {
		c := sent(backend.ChargeCreditsWithResponse(ctx, &ChargeCreditsParams{IdempotencyKey: &key}, order))
		return must(c.JSON201, c.Body).Transaction.Id
	}
	transaction := charge()
	equal(charge(), transaction)
	refund := sent(backend.RefundCreditsWithResponse(ctx, &RefundCreditsParams{IdempotencyKey: &refundKey}, RefundCreditsRequest{
		UserId: profile.Id, Amount: amount, AppId: "app", Description: "a test", TransactionId: &transaction,
	}))
	must(refund.JSON201, refund.Body)
	after := sent(backend.UserBalanceWithResponse(ctx, profile.Id))
	equal(must(after.JSON200, after.Body).Balance, balance)
	rows := sent(user.ListTransactionsWithResponse(ctx, &ListTransactionsParams{}))
	must(rows.JSON200, rows.Body)

	amount = 1e6
	short := sent(user.ChargeCreditsWithResponse(ctx, nil, ChargeCreditsRequest{Amount: &amount, AppId: "app", Description: "too much"}))
	equal(must(short.JSON402, short.Body).Details.AvailableCredits, balance)

	out := sent(guest.LogoutWithResponse(ctx, LogoutRequest{RefreshToken: &tokens.RefreshToken}))
	must(out.JSON200, out.Body)
	equal(sent(user.ProfileWithResponse(ctx)).StatusCode(), http.StatusUnauthorized)
}
