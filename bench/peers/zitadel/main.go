// Command zitadel runs the example OpenID provider of zitadel/oidc as a peer of the
// bench: everything in memory, and only errors logged.
package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	port, callback := os.Getenv("PORT"), os.Getenv("REDIRECT_URI")
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	issuer := fmt.Sprintf("http://localhost:%s/", port)
	storage.RegisterClients(storage.WebClient("web", "secret", callback))
	server := &http.Server{
		Addr: "127.0.0.1:" + port, ReadHeaderTimeout: 10 * time.Second,
		Handler: exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), logger, false),
	}
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
