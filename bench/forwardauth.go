package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mana.how/edge/internal/freeport"
)

// The one user of oauth2-proxy, who signs in by a password file: what is measured is the
// session, not how it began.
const forwardUser, forwardPassword = "bench", "correct horse battery"

// forwardAuth is Caddy with forward_auth to oauth2-proxy, and a signed-in user's cookie. The
// CPU time is that of both processes.
func (s *stand) forwardAuth(ctx context.Context) (p *proxy, cookie string, err error) {
	binary := filepath.Join(s.root, "bin", "peer-oauth2-proxy")
	build := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(s.root, "tools", "oauth2proxy"), "-trimpath", "-ldflags", "-s -w", "-o", binary,
		"github.com/oauth2-proxy/oauth2-proxy/v7")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("build oauth2-proxy: %w\n%s", err, out)
	}
	sum := sha1.Sum([]byte(forwardPassword))
	users := filepath.Join(s.dir, "htpasswd")
	if err := os.WriteFile(users, []byte(forwardUser+":{SHA}"+base64.StdEncoding.EncodeToString(sum[:])+"\n"), 0o600); err != nil {
		return nil, "", err
	}
	port, err := freeport.Get()
	if err != nil {
		return nil, "", err
	}
	at := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(binary, "--http-address", at, "--provider", "github", "--client-id", "bench", "--client-secret", "bench", "--email-domain", "*", "--upstream", "static://202",
		"--reverse-proxy", "--trusted-proxy-ip", "127.0.0.1", "--set-xauthrequest", "--htpasswd-file", users, "--cookie-secret", "0123456789abcdef0123456789abcdef", "--cookie-secure=false",
		"--request-logging=false", "--auth-logging=false", "--standard-logging=false")
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	s.closers = append(s.closers, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if cookie, err = forwardCookie(ctx, "http://"+at); err != nil {
		return nil, "", fmt.Errorf("oauth2-proxy: %w\n%s", err, out)
	}
	site := fmt.Sprintf("forward_auth %s {\n\t\t\turi /oauth2/auth\n\t\t\tcopy_headers X-Auth-Request-User X-Auth-Request-Email\n\t\t}\n\t\treverse_proxy %s", at, s.upstream)
	if p, err = s.startProxy(ctx, s.edgeBinary(), "", s.plainSite(), site); err != nil {
		return nil, "", err
	}
	p.beside = append(p.beside, cmd)
	return p, "Cookie: " + cookie, nil
}

// forwardCookie signs the user in once oauth2-proxy listens.
func forwardCookie(ctx context.Context, at string) (string, error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"username": {forwardUser}, "password": {forwardPassword}}.Encode()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/oauth2/sign_in", strings.NewReader(form))
		if err != nil {
			return "", err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := client.Do(request)
		if err != nil {
			if time.Now().After(deadline) {
				return "", err
			}
			continue
		}
		_ = answer.Body.Close()
		for _, c := range answer.Cookies() {
			if c.Name == "_oauth2_proxy" && c.Value != "" {
				return c.Name + "=" + c.Value, nil
			}
		}
		return "", errors.New("sign in: " + answer.Status + " without a cookie")
	}
}
