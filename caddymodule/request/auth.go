package request

import (
	"context"
	"net/http"
)

// Auth is the context of a request behind a gate. It is no header, so nothing
// that a client sends can look like it.
type Auth struct {
	context.Context
	// Principal is whom the gate found.
	Principal Principal
	// Cookies are the Cookie headers as the client sent them, nil where no gate
	// has taken any cookie away.
	Cookies []string
	// ByCookie says that a gate knew the client by its sign-on cookie. Browsers
	// send it by themselves, so another site may be behind the request.
	ByCookie bool
	// NoLogin says that a gate leads nobody to the sign-in page.
	NoLogin bool
}

type authKey struct{}

// AuthOf is what the last gate on the request's way found, nil without one.
func AuthOf(ctx context.Context) *Auth {
	a, _ := ctx.Value(authKey{}).(*Auth)
	return a
}

// Value implements [context.Context].
func (a *Auth) Value(key any) any {
	if key == (authKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// Caller is whom the last gate on the request's way found, the zero Principal
// for a guest.
func Caller(ctx context.Context) Principal {
	if a := AuthOf(ctx); a != nil {
		return a.Principal
	}
	return Principal{}
}

// Cookies are the Cookie headers as the client sent them, also behind a gate
// that took the edge's own cookies out. They are for handlers of this module,
// never for an upstream.
func Cookies(r *http.Request) []string {
	if a := AuthOf(r.Context()); a != nil && a.Cookies != nil {
		return a.Cookies
	}
	return r.Header["Cookie"]
}
