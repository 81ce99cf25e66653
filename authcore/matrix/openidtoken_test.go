package matrix_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"mana.how/edge/authcore/matrix"
	"mana.how/edge/internal/publicnet"
)

// servers are Matrix servers of the test: every name leads to one listener, which
// notes at which name and port it was asked.
func servers(t *testing.T, answer http.HandlerFunc) (s matrix.Servers, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Host+r.URL.Path)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	client := server.Client()
	transport := client.Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	transport.TLSClientConfig.ServerName = "example.com" // the name in the certificate of httptest
	client.CheckRedirect = publicnet.Client().CheckRedirect
	return matrix.Servers{Client: client, LookupSRV: func(context.Context, string, string, string) (string, []*net.SRV, error) {
		return "", nil, errors.New("no such record")
	}}, asked
}

const userinfo = "/_matrix/federation/v1/openid/userinfo"

func TestConfirmAsksTheServerOfTheID(t *testing.T) {
	t.Parallel()
	ada := matrix.OpenIDToken{AccessToken: "of-ada", ServerName: "example.org"}
	for _, tt := range []struct {
		name, id  string
		token     matrix.OpenIDToken
		wellKnown string
		port      uint16 // in the service record
		asked     string // last
		want      error
	}{
		{"its own", "@ada:example.org", ada, "", 0, "example.org:8448" + userinfo, nil},
		{"delegated to a port", "@ada:example.org", ada, `{"m.server":"matrix.example.org:443"}`, 0, "matrix.example.org:443" + userinfo, nil},
		{"delegated to a name", "@ada:example.org", ada, `{"m.server":"matrix.example.org"}`, 0, "matrix.example.org:8448" + userinfo, nil},
		{"delegated to an address", "@ada:example.org", ada, `{"m.server":"[2001:db8::1]"}`, 0, "[2001:db8::1]:8448" + userinfo, nil},
		{"delegated by a service record", "@ada:example.org", ada, "", 4443, "example.org:4443" + userinfo, nil},
		{"delegated to nonsense", "@ada:example.org", ada, `{"m.server":"a/b@c"}`, 0, "", matrix.ErrServer},
		{"a port of its own", "@ada:example.org:8008", matrix.OpenIDToken{AccessToken: "of-port", ServerName: "example.org:8008"}, `{"m.server":"elsewhere"}`, 0, "example.org:8008" + userinfo, nil},
		{"another's", "@bob:example.org", ada, "", 0, "example.org:8448" + userinfo, matrix.ErrToken},
		{"of another server", "@ada:example.net", ada, "", 0, "", matrix.ErrToken},
		{"unknown", "@ada:example.org", matrix.OpenIDToken{AccessToken: "wrong", ServerName: "example.org"}, "", 0, "example.org:8448" + userinfo, matrix.ErrToken},
		{"empty", "@ada:example.org", matrix.OpenIDToken{ServerName: "example.org"}, "", 0, "", matrix.ErrToken},
		{"long", "@ada:example.org", matrix.OpenIDToken{AccessToken: strings.Repeat("x", 2000), ServerName: "example.org"}, "", 0, "", matrix.ErrToken},
		{"broken", "@ada:example.org", matrix.OpenIDToken{AccessToken: "broken", ServerName: "example.org"}, "", 0, "example.org:8448" + userinfo, matrix.ErrServer},
		{"moved", "@ada:example.org", matrix.OpenIDToken{AccessToken: "moved", ServerName: "example.org"}, "", 0, "example.org:8448" + userinfo, matrix.ErrServer},
		{"no JSON", "@ada:example.org", matrix.OpenIDToken{AccessToken: "html", ServerName: "example.org"}, "", 0, "example.org:8448" + userinfo, matrix.ErrServer},
		{"no id", "ada", ada, "", 0, "", matrix.ErrID},
		{"no name of a server", "@ada:exa_mple.org", matrix.OpenIDToken{AccessToken: "of-ada", ServerName: "exa_mple.org"}, "", 0, "", matrix.ErrID},
		{"no port", "@ada:example.org:0", matrix.OpenIDToken{AccessToken: "of-ada", ServerName: "example.org:0"}, "", 0, "", matrix.ErrID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, asked := servers(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/.well-known/matrix/server" && tt.wellKnown != "" {
					_, _ = w.Write([]byte(tt.wellKnown))
					return
				}
				switch r.URL.Query().Get("access_token") {
				case "of-ada":
					_, _ = w.Write([]byte(`{"sub":"@ada:example.org"}`))
				case "of-port":
					_, _ = w.Write([]byte(`{"sub":"@ada:example.org:8008"}`))
				case "broken":
					w.WriteHeader(http.StatusInternalServerError)
				case "moved":
					http.Redirect(w, r, "https://169.254.169.254/", http.StatusFound)
				case "html":
					_, _ = w.Write([]byte("<html>"))
				case "wrong":
					w.WriteHeader(http.StatusUnauthorized)
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			})
			if tt.port != 0 {
				s.LookupSRV = func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
					if service != "matrix-fed" || proto != "tcp" {
						t.Errorf("record _%s._%s", service, proto)
					}
					return "", []*net.SRV{{Target: name + ".", Port: tt.port}}, nil
				}
			}
			err := s.Confirm(t.Context(), tt.id, tt.token)
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			last := ""
			if len(*asked) > 0 {
				last = (*asked)[len(*asked)-1]
			}
			if tt.asked != "" && last != tt.asked {
				t.Errorf("asked %v, want %s last", *asked, tt.asked)
			}
			if err != nil && strings.Contains(err.Error(), "of-ada") {
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
}

// Users name the server, so it is reached in public alone.
func TestConfirmReachesPublicServersAlone(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			reached.Store(true)
			conn.Close()
		}
	}()
	name := listener.Addr().String()
	err = matrix.Servers{Client: publicnet.Client()}.Confirm(t.Context(), "@ada:"+name, matrix.OpenIDToken{AccessToken: "x", ServerName: name})
	if !errors.Is(err, matrix.ErrServer) || !errors.Is(err, publicnet.ErrNotPublic) {
		t.Error(err)
	}
	listener.Close()
	if reached.Load() {
		t.Error("a server of this machine was connected to")
	}
}
