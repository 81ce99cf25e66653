package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
)

const (
	maxBody  = 64 << 10
	maxQuery = 16 << 10
)

// library is the protocol's handler. It knows nothing of a service: each request brings
// its own.
var library = sync.OnceValue(func() http.Handler {
	return op.RegisterServer(provider{}, op.Endpoints{
		Authorization: op.NewEndpoint("authorize"), Token: op.NewEndpoint("token"), Introspection: op.NewEndpoint("introspect"),
		Userinfo: op.NewEndpoint("userinfo"), Revocation: op.NewEndpoint("revoke"), EndSession: op.NewEndpoint("endsession"),
		DeviceAuthorization: op.NewEndpoint("device_authorization"),
	}, op.WithServerCORSOptions(nil))
})

// basicChallenge tells a client how it can show who it is (RFC 7617, section 2).
const basicChallenge = `Basic realm="mana", charset="UTF-8"`

// exchange is one request on its way through the library.
type exchange struct {
	call *endpoint.Call
	// redirect is the client's address, once it is known to be registered.
	redirect string
	// answer, where set, is what is said in the place of what the library wrote.
	answer endpoint.Answer
	// fault, where set, is said to whoever cannot be led back to the client.
	fault *fault
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// fault is an error that ends at this service: a redirect would lead to nobody knows
// whom.
type fault struct {
	kind, description string // RFC 6749
	code, message     string // of the replaced service
}

// answer shows a fault: as a page where somebody navigates, else as the error of its
// route.
func (f *fault) answer(c *endpoint.Call) (endpoint.Answer, error) {
	if f.code == "" {
		f.code, f.message = strings.ToUpper(f.kind), f.description
	}
	if request.IsNavigation(c.Request) {
		return endpoint.HTML{Status: http.StatusBadRequest, View: pages.Problem{Code: f.code}}, nil
	}
	return nil, &endpoint.Error{Status: http.StatusBadRequest, Code: f.code, Message: f.message}
}

// malformed is the fault of a request that nobody can answer.
func malformed(description string) *fault {
	return &fault{kind: string(oidc.InvalidRequest), description: description}
}

// handle has the library answer a request.
func handle(ctx context.Context, c *endpoint.Call, name string) (endpoint.Answer, error) {
	x := &exchange{call: c}
	r := c.Request.Clone(context.WithValue(ctx, exchangeKey{}, x))
	navigates := name == "authorize" || name == "endsession"
	params, bad := parameters(r, name)
	if bad != nil {
		return bad.answer(c)
	}
	encoded := params.Encode()
	r.URL = &url.URL{Path: "/" + name}
	r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader(encoded))
	r.ContentLength = int64(len(encoded))
	r.Header = r.Header.Clone()
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")

	rec := &recorder{header: make(http.Header)}
	library().ServeHTTP(rec, r)
	switch {
	case x.answer != nil:
		return x.answer, nil
	case x.fault != nil:
		return x.fault.answer(c)
	case navigates && rec.status >= 400 && rec.status < 500:
		return rec.fault().answer(c)
	}
	return rec.answer(x), nil
}

// parameters are what a request says, each once: in the query of a GET, else in the body.
// Secrets have no place in an address.
func parameters(r *http.Request, name string) (url.Values, *fault) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return bodyOf(r)
	}
	if name == "userinfo" {
		return url.Values{}, nil // the token stands in the header (RFC 6750, section 2.3)
	}
	return once(r.URL.RawQuery, maxQuery)
}

// bodyOf reads a form, or the JSON that clients of the replaced service send.
func bodyOf(r *http.Request) (url.Values, *fault) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, malformed("the body broke off")
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media == "application/json" {
		return fromJSON(raw)
	}
	if media != "application/x-www-form-urlencoded" && len(raw) > 0 {
		return nil, malformed("the body must be application/x-www-form-urlencoded")
	}
	return once(string(raw), maxBody)
}

// once reads parameters, none of which may come twice (RFC 6749, section 3.1).
func once(encoded string, most int) (url.Values, *fault) {
	if len(encoded) > most {
		return nil, malformed("the request is too long")
	}
	params, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, malformed("the parameters are not encoded as they should be")
	}
	for name, values := range params {
		if len(values) > 1 {
			return nil, malformed("a parameter is there twice")
		}
		if strings.ContainsRune(name, 0) || strings.ContainsRune(values[0], 0) || strings.ToValidUTF8(values[0], "") != values[0] {
			return nil, malformed("a parameter holds what is no text")
		}
		if values[0] == "" {
			delete(params, name) // as if it were not there (RFC 6749, section 3.1)
		}
	}
	return params, nil
}

// fromJSON reads an object of texts as parameters.
func fromJSON(doc []byte) (url.Values, *fault) {
	if len(doc) > maxBody {
		return nil, malformed("the request is too long")
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, malformed("the body is no JSON object")
	}
	params := url.Values{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, malformed("the body is no JSON object")
		}
		var value *string
		if err := dec.Decode(&value); err != nil {
			return nil, malformed("a parameter is no text")
		}
		if value != nil {
			params.Add(name.(string), *value)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, malformed("the body is no JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("the body is no JSON object")
	}
	return once(params.Encode(), maxBody)
}

// refusal is an error of RFC 6749, section 5.2.
func refusal(status int, kind, description string) endpoint.Verbatim {
	return unkept(status, map[string]string{"error": kind, "error_description": description})
}

// unkept is a JSON answer that nobody keeps.
func unkept(status int, told any) endpoint.Verbatim {
	doc, err := json.Marshal(told)
	if err != nil {
		panic(err) // texts, numbers and flags
	}
	return endpoint.Verbatim{Status: status, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}, Body: doc}
}

// recorder keeps what the library writes.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// fault is what the library wrote, to be shown in our own way.
func (w *recorder) fault() *fault {
	var written oidc.Error
	if err := json.Unmarshal(w.body.Bytes(), &written); err != nil || written.ErrorType == "" {
		return malformed("the request is not one of the protocol")
	}
	return &fault{kind: string(written.ErrorType), description: written.Description}
}

// answer is what the library wrote, with what it leaves out: who the answer is from (RFC
// 9207), how a client can show who it is, and that nobody keeps tokens.
func (w *recorder) answer(x *exchange) endpoint.Answer {
	out := endpoint.Verbatim{Status: w.status, Header: w.header, Body: w.body.Bytes()}
	if out.Status == 0 {
		out.Status = http.StatusOK
	}
	out.Header.Set("Cache-Control", "no-store")
	out.Header.Set("Pragma", "no-cache")
	to := out.Header.Get("Location")
	switch {
	case to != "" && x.redirect != "" && strings.HasPrefix(to, x.redirect):
		to = withIssuer(to, x.call.Auth.Issuer())
		out.Header.Set("Location", to)
		out.Body = nil
		fallthrough
	case to != "":
		if fetches(x.call.Request) {
			return unkept(http.StatusOK, FetchedRedirectResponse{Redirect: true, URL: to})
		}
	case out.Status == http.StatusUnauthorized && len(x.call.Request.Header["Authorization"]) > 0:
		if out.Header.Get("WWW-Authenticate") == "" {
			out.Header.Set("WWW-Authenticate", basicChallenge)
		}
	}
	return out
}

// fetches reports whether a script asks, which cannot follow a redirect to another site.
func fetches(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Mode") == "cors" }

// FetchedRedirectResponse tells a script where to send the browser.
type FetchedRedirectResponse struct {
	Redirect bool   `json:"redirect"`
	URL      string `json:"url"`
}

// withIssuer adds iss to an authorization response (RFC 9207, section 2).
func withIssuer(to, issuer string) string {
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	return to + separator + "iss=" + url.QueryEscape(issuer)
}
