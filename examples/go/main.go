// Command go is an app behind Mana Edge: it greets its user, and sells answers.
package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	manaid "mana.how/edge/clients/go"
)

var edge = &manaid.Client{BaseURL: os.Getenv("MANA_URL"), ServiceKey: os.Getenv("MANA_SERVICE_KEY")}

func hello(w http.ResponseWriter, r *http.Request) {
	who, _ := manaid.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s!\n", who.Email)
}

func answer(w http.ResponseWriter, r *http.Request) {
	who, _ := manaid.FromContext(r.Context())
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		key = rand.Text()
	}
	_, err := edge.Charge(r.Context(), manaid.Charge{UserID: who.UserID, Amount: 2, AppID: "app", Description: "An answer", Key: key})
	var short *manaid.InsufficientCreditsError
	switch {
	case errors.As(err, &short):
		http.Error(w, fmt.Sprintf("this costs %v credits, you have %v", short.Required, short.Available), http.StatusPaymentRequired)
	case err != nil:
		http.Error(w, "please try again", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "42")
	}
}

func main() {
	v := manaid.NewVerifier(manaid.VerifierConfig{Issuer: os.Getenv("MANA_URL"), Audience: "app"})
	http.Handle("GET /{$}", v.RequireAssertion(http.HandlerFunc(hello)))
	http.Handle("POST /answer", v.RequireAssertion(http.HandlerFunc(answer)))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)) // #nosec G114 -- an example
}
