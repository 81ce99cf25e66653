// Command demo-app is the app behind the gate of Caddyfile.example. It holds no
// authentication code: whom it serves is told by the identity headers of the
// edge, and it shows what it was told.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", fallback(os.Getenv("DEMO_LISTEN"), "127.0.0.1:3000"), "address to serve (DEMO_LISTEN)")
	auth := flag.String("auth", fallback(os.Getenv("DEMO_AUTH_URL"), "https://auth.mana.localhost:8443"), "base_url of the edge (DEMO_AUTH_URL)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, *auth); err != nil {
		slog.Error("demo app ends", "error", err)
		os.Exit(1)
	}
}

// serve answers on address until ctx ends; open streams get three seconds.
func serve(ctx context.Context, address, auth string) error {
	server := &http.Server{Addr: address, Handler: NewApp(auth), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("demo app listens", "address", address)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	} else if err != nil {
		return err
	}
	return nil
}

func fallback(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
