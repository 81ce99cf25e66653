package gate

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
	"mana.how/edge/caddymodule/site"
)

const (
	// loopLimit redirects for one URL within loopSpan are taken for a loop.
	loopLimit = 3
	loopSpan  = 120 // seconds

	maxReturnURL = 2048
)

// redirectToLogin answers a navigation without a session with 302 to the
// sign-in page, which leads back to the URL asked for. A browser that comes
// back again and again without a usable cookie gets an explanation instead,
// as does one that asks for the sign-in page itself.
func redirectToLogin(q *gateRequest, hosted answer.Hosted) error {
	return redirectToPage(q, hosted, "/login", url.Values{})
}

// redirectToPage is redirectToLogin for any of the hosted pages that lead back.
func redirectToPage(q *gateRequest, hosted answer.Hosted, path string, query url.Values) error {
	base := hosted.BaseURL
	target := returnTarget(q.r, q.auth.Origins())
	turn := nextTurn(q.cookies, target)
	if turn.count > loopLimit || isLoginPage(q.r, base) {
		return writeLoop(q, hosted)
	}
	q.w.Header().Add("Set-Cookie", turn.cookie(q.r, loopSpan))
	leadTo(q, base, path, query, target)
	return nil
}

// leadTo answers with 302 to a hosted page that leads back to the target.
func leadTo(q *gateRequest, base *url.URL, path string, query url.Values, target string) {
	if target != "" {
		query.Set("returnUrl", target)
	}
	page := url.URL{Scheme: base.Scheme, Host: base.Host, Path: path, RawQuery: query.Encode()}
	h := q.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", page.String())
	q.w.WriteHeader(http.StatusFound)
}

// enrollmentPage is where a second factor is set up.
const enrollmentPage = "/account/two-factor"

// redirectToEnrollment answers a navigation with 302 to the page where a second
// factor is set up. That page leads back by itself only when it is, so nothing is
// counted; a gate in front of the very page is explained as a loop.
func redirectToEnrollment(q *gateRequest, hosted answer.Hosted) error {
	base := hosted.BaseURL
	if strings.EqualFold(q.r.Host, base.Host) && strings.TrimSuffix(request.Original(q.r).URL.Path, "/") == enrollmentPage {
		return writeLoop(q, hosted)
	}
	leadTo(q, base, enrollmentPage, url.Values{"required": {"1"}}, returnTarget(q.r, q.auth.Origins()))
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
			if site.PlainCookieName(name) != site.LoopCookie {
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
		prefix, site.LoopCookie, t.count, strconv.FormatUint(uint64(t.url), 36), maxAge, secure)
}

// forgetLoop clears the loop cookie once the browser is signed in.
func forgetLoop(w http.ResponseWriter, r *http.Request, cookies []string) {
	for _, value := range cookies {
		if strings.Contains(value, site.LoopCookie+"=") {
			site.AddCookie(w, loopTurn{}.cookie(r, 0))
			return
		}
	}
}

// writeLoop explains why the browser is not sent to the sign-in page once more.
// Nothing of the request stands in it.
func writeLoop(q *gateRequest, hosted answer.Hosted) error {
	h := q.w.Header()
	h.Add("Set-Cookie", loopTurn{}.cookie(q.r, 0))
	h.Set("WWW-Authenticate", "Bearer")
	login := url.URL{Scheme: hosted.BaseURL.Scheme, Host: hosted.BaseURL.Host, Path: "/login"}
	return hosted.Page(q.w, q.r, http.StatusUnauthorized, 0, pages.Notice{Code: "SIGN_IN_LOOP", SignIn: login.String()})
}
