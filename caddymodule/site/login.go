package site

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"mana.how/edge/authcore/origin"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
)

const (
	// loopLimit redirects for one URL within loopSpan are taken for a loop.
	loopLimit = 3
	loopSpan  = 120 // seconds

	maxReturnURL = 2048
)

// Navigation is a page load that is answered in place of the app.
type Navigation struct {
	W       http.ResponseWriter
	R       *http.Request
	Cookies []string // the Cookie headers as the client sent them
	Origins origin.List
	Hosted  answer.Hosted
}

// ToLogin answers a navigation without a session with 302 to the
// sign-in page, which leads back to the URL asked for. A browser that comes
// back again and again without a usable cookie gets an explanation instead,
// as does one that asks for the sign-in page itself.
func (n *Navigation) ToLogin() error { return n.ToPage("/login", url.Values{}) }

// ToPage is ToLogin for any of the hosted pages that lead back.
func (n *Navigation) ToPage(path string, query url.Values) error {
	target := returnTarget(n.R, n.Origins)
	turn := nextTurn(n.Cookies, target)
	if turn.count > loopLimit || isLoginPage(n.R, n.Hosted.BaseURL) {
		return n.writeLoop()
	}
	n.W.Header().Add("Set-Cookie", turn.cookie(n.R, loopSpan))
	n.leadTo(path, query, target)
	return nil
}

// leadTo answers with 302 to a hosted page that leads back to the target.
func (n *Navigation) leadTo(path string, query url.Values, target string) {
	if target != "" {
		query.Set("returnUrl", target)
	}
	base := n.Hosted.BaseURL
	page := url.URL{Scheme: base.Scheme, Host: base.Host, Path: path, RawQuery: query.Encode()}
	h := n.W.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", page.String())
	n.W.WriteHeader(http.StatusFound)
}

// enrollmentPage is where a second factor is set up.
const enrollmentPage = "/account/two-factor"

// ToEnrollment answers a navigation with 302 to the page where a second
// factor is set up. That page leads back by itself only when it is, so nothing is
// counted; a gate in front of the very page is explained as a loop.
func (n *Navigation) ToEnrollment() error {
	if strings.EqualFold(n.R.Host, n.Hosted.BaseURL.Host) && strings.TrimSuffix(request.Original(n.R).URL.Path, "/") == enrollmentPage {
		return n.writeLoop()
	}
	n.leadTo(enrollmentPage, url.Values{"required": {"1"}}, returnTarget(n.R, n.Origins))
	return nil
}

// returnTarget is the absolute URL the client asked for, if its origin is a
// trusted one, else empty. A path the sign-in page would refuse becomes "/".
func returnTarget(r *http.Request, origins origin.List) string {
	origin := request.Origin(r)
	if !origins.Trusts(origin) {
		return ""
	}
	asked := request.Original(r).URL
	path := asked.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/"
	}
	target := origin + path
	if asked.RawQuery != "" {
		target += "?" + asked.RawQuery
	}
	if len(target) <= maxReturnURL {
		if same, ok := origins.ReturnTarget(target); ok {
			return same
		}
	}
	return origin + "/"
}

// isLoginPage reports whether mana_auth stands before the very page it would
// redirect to.
func isLoginPage(r *http.Request, base *url.URL) bool {
	path := request.Original(r).URL.Path
	return strings.EqualFold(r.Host, base.Host) && (path == "/login" || path == "/login/")
}

// loopTurn is the value of the loop cookie: a count and the URL it is about.
type loopTurn struct {
	count int
	url   uint32
}

// nextTurn counts one more redirect.
func nextTurn(cookies []string, target string) loopTurn {
	hash := fnv.New32a()
	hash.Write([]byte(target))
	turn := loopTurn{count: 1, url: hash.Sum32()}
	for _, value := range cookies {
		for pair := range strings.SplitSeq(value, ";") {
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if PlainCookieName(name) != LoopCookie {
				continue
			}
			count, about, _ := strings.Cut(value, ".")
			n, err := strconv.ParseUint(count, 10, 8)
			if err == nil && about == strconv.FormatUint(uint64(turn.url), 36) {
				turn.count = max(turn.count, int(n)+1)
			}
		}
	}
	return turn
}

// cookie is the Set-Cookie value. Over https the __Host- prefix keeps other
// sub-domains from setting it.
func (t loopTurn) cookie(r *http.Request, maxAge int) string {
	prefix, secure := "", ""
	if strings.HasPrefix(request.Origin(r), "https:") {
		prefix, secure = "__Host-", "; Secure"
	}
	return fmt.Sprintf("%s%s=%d.%s; Max-Age=%d; Path=/; HttpOnly%s; SameSite=Lax",
		prefix, LoopCookie, t.count, strconv.FormatUint(uint64(t.url), 36), maxAge, secure)
}

// ForgetLoop clears the loop cookie once the browser is signed in.
func ForgetLoop(w http.ResponseWriter, r *http.Request, cookies []string) {
	for _, value := range cookies {
		if strings.Contains(value, LoopCookie+"=") {
			AddCookie(w, loopTurn{}.cookie(r, 0))
			return
		}
	}
}

// writeLoop explains why the browser is not sent to the sign-in page once more.
// Nothing of the request stands in it.
func (n *Navigation) writeLoop() error {
	h := n.W.Header()
	h.Add("Set-Cookie", loopTurn{}.cookie(n.R, 0))
	h.Set("WWW-Authenticate", "Bearer")
	login := url.URL{Scheme: n.Hosted.BaseURL.Scheme, Host: n.Hosted.BaseURL.Host, Path: "/login"}
	return n.Hosted.Page(n.W, n.R, http.StatusUnauthorized, 0, pages.Notice{Code: "SIGN_IN_LOOP", SignIn: login.String()})
}
