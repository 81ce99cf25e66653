// #region imports

// First is a first app behind Mana Edge, in Go.
package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/coder/websocket"

	manaid "mana.how/edge/clients/go"
)

// #endregion

// #region who
var (
	edge = manaid.Client{BaseURL: os.Getenv("MANA_URL"), ServiceKey: os.Getenv("MANA_SERVICE_KEY")}
	//go:embed page.html
	page []byte
)

// app is what the edge is before: it takes what the edge has signed, and nothing else.
func app() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	mux.HandleFunc("GET /me", me)
	mux.HandleFunc("GET /picture", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "(^_^)") }) // the edge takes its four credits
	mux.HandleFunc("POST /answer", answer)
	mux.HandleFunc("GET /socket", socket)
	return manaid.NewVerifier(manaid.VerifierConfig{Issuer: os.Getenv("MANA_URL"), Audience: "app"}).RequireAssertion(mux)
}

func me(w http.ResponseWriter, r *http.Request) {
	who, _ := manaid.FromRequest(r)
	_ = json.NewEncoder(w).Encode(map[string]string{"name": who.Name, "email": who.Email, "auth": os.Getenv("MANA_URL")})
}

// #endregion

// #region charge
func answer(w http.ResponseWriter, r *http.Request) {
	who, _ := manaid.FromContext(r.Context())
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		key = rand.Text()
	}
	receipt, err := edge.Charge(r.Context(), manaid.Charge{UserID: who.UserID, Amount: 2, AppID: "app", Description: "An answer", Key: key})
	var short *manaid.InsufficientCreditsError
	if errors.As(err, &short) {
		http.Error(w, fmt.Sprintf("you have %v credits", short.Available), http.StatusPaymentRequired)
		return
	}
	if err == nil && r.URL.Query().Get("about") == "everything" { // to which there is no answer
		if _, err = edge.Refund(r.Context(), manaid.Refund{UserID: who.UserID, Amount: 2, AppID: "app", Description: "No answer", TransactionID: receipt.Transaction.ID, Key: key + "-refund"}); err == nil {
			http.Error(w, "no answer, and nothing to pay", http.StatusInternalServerError)
			return
		}
	}
	if err != nil {
		http.Error(w, "please try again", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "42")
}

// #endregion

// #region socket
func socket(w http.ResponseWriter, r *http.Request) {
	who, _ := manaid.FromContext(r.Context())
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the gate has looked at the Origin
	if err != nil {
		return // it has answered
	}
	defer c.CloseNow()
	_ = c.Write(r.Context(), websocket.MessageText, []byte("Hello, "+who.Email+"!"))
	_, _, _ = c.Read(r.Context()) // until the client leaves
}

// #endregion

// #region main
func main() {
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), app())) // #nosec G114 -- an example
}

// #endregion
