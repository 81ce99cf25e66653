package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// OpenIDToken is what a Matrix server gives one of its users to show who they are
// elsewhere (Client-Server API, "OpenID").
type OpenIDToken struct {
	AccessToken string
	ServerName  string
}

var (
	// ErrToken means that the server of an id does not know the token, or knows it
	// for another id.
	ErrToken = errors.New("The Matrix server does not confirm the token for this matrixUserId")
	// ErrServer means that the server of an id could not be asked.
	ErrServer = errors.New("The Matrix server could not be asked")
)

const (
	mostAnswer     = 64 << 10
	federationPort = 8448
	mostToken      = 1024 // bytes
)

// Servers ask Matrix servers. Names of servers come from users: Client must reach
// public addresses alone and follow no redirects.
type Servers struct {
	Client *http.Client
	// LookupSRV finds service records; nil is the resolver's.
	LookupSRV func(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// Confirm asks the server of an id whose a token is (Server-Server API,
// "GET /_matrix/federation/v1/openid/userinfo"). It fails with [ErrID],
// [ErrToken], or [ErrServer].
func (s Servers) Confirm(ctx context.Context, id string, token OpenIDToken) error {
	if err := CheckID(id); err != nil {
		return err
	}
	_, server, _ := strings.Cut(id, ":")
	if token.ServerName != server || token.AccessToken == "" || len(token.AccessToken) > mostToken {
		return ErrToken // another server cannot speak for the users of this one
	}
	at, err := s.find(ctx, server)
	if err != nil {
		return err
	}
	var owner struct {
		Subject string `json:"sub"`
	}
	at.Path, at.RawQuery = "/_matrix/federation/v1/openid/userinfo", url.Values{"access_token": {token.AccessToken}}.Encode()
	status, err := s.get(ctx, at, &owner)
	switch {
	case err != nil:
		return err
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return ErrToken
	case status != http.StatusOK:
		return fmt.Errorf("%w: it answered %d", ErrServer, status)
	case owner.Subject != id:
		return ErrToken
	}
	return nil
}

// find is where the federation API of a server is (Server-Server API, "Resolving
// server names"). Records of the deprecated service `matrix` are not looked for.
func (s Servers) find(ctx context.Context, server string) (*url.URL, error) {
	name, port, err := splitName(server)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(name); err == nil || port != 0 {
		return at(name, port), nil
	}
	var delegated struct {
		Server string `json:"m.server"`
	}
	wellKnown := url.URL{Scheme: "https", Host: name, Path: "/.well-known/matrix/server"}
	if status, err := s.get(ctx, &wellKnown, &delegated); err == nil && status == http.StatusOK && delegated.Server != "" {
		if name, port, err = splitName(delegated.Server); err != nil {
			return nil, fmt.Errorf("%w: what it names as its server is no name of one", ErrServer)
		}
		if _, err := netip.ParseAddr(name); err == nil || port != 0 {
			return at(name, port), nil
		}
	}
	lookup := s.LookupSRV
	if lookup == nil {
		lookup = net.DefaultResolver.LookupSRV
	}
	if _, records, err := lookup(ctx, "matrix-fed", "tcp", name); err == nil && len(records) > 0 {
		// The certificate would be that of name, not of the target: only a record
		// that changes the port is followed.
		if target := strings.TrimSuffix(records[0].Target, "."); strings.EqualFold(target, name) {
			return at(name, int(records[0].Port)), nil
		}
	}
	return at(name, 0), nil
}

func at(name string, port int) *url.URL {
	if port == 0 {
		port = federationPort
	}
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(name, strconv.Itoa(port))}
}

// splitName takes a server name apart (appendix 4.1); port is 0 where it has none.
func splitName(server string) (name string, port int, err error) {
	name, text := server, ""
	if i := strings.LastIndexByte(server, ':'); i >= 0 && !strings.HasSuffix(server, "]") {
		name, text = server[:i], server[i+1:]
		if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return "", 0, ErrID
		}
	}
	if strings.HasPrefix(name, "[") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
		if err != nil || !strings.HasSuffix(name, "]") {
			return "", 0, ErrID
		}
		return addr.String(), port, nil
	}
	for i := range len(name) {
		if c := name[i] | 0x20; !('a' <= c && c <= 'z' || '0' <= name[i] && name[i] <= '9' || name[i] == '.' || name[i] == '-') {
			return "", 0, ErrID
		}
	}
	if name == "" || len(name) > 230 {
		return "", 0, ErrID
	}
	return name, port, nil
}

// get asks for JSON. An answer other than 200 is read no further than its status.
func (s Servers) get(ctx context.Context, at *url.URL, into any) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return 0, ErrServer
	}
	resp, err := s.Client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrServer, withoutURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(into); err != nil {
		return 0, fmt.Errorf("%w: its answer is no JSON", ErrServer)
	}
	return resp.StatusCode, nil
}

// withoutURL takes the address out of an error, which has the token in it.
func withoutURL(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}
