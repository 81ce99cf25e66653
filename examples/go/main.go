// Command go is an app behind Mana Edge: it greets its user, sells answers, streams,
// and takes uploads.
package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"

	manaid "mana.how/edge/clients/go"
)

var edge = &manaid.Client{BaseURL: os.Getenv("MANA_URL"), ServiceKey: os.Getenv("MANA_SERVICE_KEY")}

// #region hello
func hello(w http.ResponseWriter, r *http.Request) {
	who, _ := manaid.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s!\n", who.Email)
}

// #endregion

// #region me
func me(w http.ResponseWriter, r *http.Request) {
	who, _ := manaid.FromRequest(r) // decoded: name, scopes, organisation and so on
	_ = json.NewEncoder(w).Encode(map[string]string{"userId": who.UserID, "email": who.Email, "name": who.Name})
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
	switch {
	case errors.As(err, &short):
		http.Error(w, fmt.Sprintf("this costs %v credits, you have %v", short.Required, short.Available), http.StatusPaymentRequired)
		return
	case err != nil:
		http.Error(w, "please try again", http.StatusServiceUnavailable)
		return
	}
	found, err := think(r.URL.Query().Get("about"))
	if err != nil {
		refund(w, r, manaid.Refund{UserID: who.UserID, Amount: 2, AppID: "app", Description: "No answer", TransactionID: receipt.Transaction.ID, Key: key + "-refund"})
		return
	}
	fmt.Fprintln(w, found)
}

// #endregion

// #region refund
func refund(w http.ResponseWriter, r *http.Request, order manaid.Refund) {
	if _, err := edge.Refund(r.Context(), order); err != nil {
		http.Error(w, "please try again", http.StatusServiceUnavailable) // with the same key: it counts once
		return
	}
	http.Error(w, "no answer, and nothing to pay", http.StatusInternalServerError)
}

// #endregion

func think(about string) (string, error) {
	if about == "everything" {
		return "", errors.New("too much")
	}
	return "42", nil
}

// #region events
func events(w http.ResponseWriter, r *http.Request) {
	who, _ := manaid.FromContext(r.Context())
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	stream := http.NewResponseController(w)
	for i := 1; i <= 3 && r.Context().Err() == nil; i++ {
		fmt.Fprintf(w, "event: tick\nid: %d\ndata: %s\n\n", i, who.Email)
		_ = stream.Flush()
		time.Sleep(200 * time.Millisecond)
	}
}

// #endregion

// #region upload
func upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body) // as it comes: nothing is kept
	if err != nil {
		http.Error(w, "please try again", http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]int64{"bytes": n})
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
	err = c.Write(r.Context(), websocket.MessageText, []byte("Hello, "+who.Email+"!"))
	for err == nil {
		var kind websocket.MessageType
		var message []byte
		if kind, message, err = c.Read(r.Context()); err == nil {
			err = c.Write(r.Context(), kind, message)
		}
	}
}

// #endregion

// #region main
func main() {
	v := manaid.NewVerifier(manaid.VerifierConfig{Issuer: os.Getenv("MANA_URL"), Audience: "app"})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", hello)
	mux.HandleFunc("GET /me", me)
	mux.HandleFunc("POST /answer", answer)
	mux.HandleFunc("GET /events", events)
	mux.HandleFunc("POST /upload", upload)
	mux.HandleFunc("GET /socket", socket)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), v.RequireAssertion(mux))) // #nosec G114 -- an example
}

// #endregion
