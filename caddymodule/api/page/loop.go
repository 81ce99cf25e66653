package page

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
)

const (
	// loopLimit is the number of the arrival from the same place that, within
	// loopSpan, is taken for a loop.
	loopLimit = 3
	loopSpan  = 20 * time.Second
)

// looping counts, in a short cookie, how often a signed-in browser was sent
// here by the same place, and reports whether that place and this one keep
// sending it to each other: because of a cookie that does not reach it, or a clock that is off. The cookie is
// the browser's own affair and not signed.
func looping(c *endpoint.Call, target string) bool {
	sum := sha256.Sum256([]byte(target))
	place := hex.EncodeToString(sum[:8])
	now := c.Now().Unix()
	count, since := 1, now
	if cookie, err := c.Request.Cookie(loopCookie(c)); err == nil {
		if n, first, ok := parseLoop(cookie.Value, place); ok && now-first >= 0 && now-first < int64(loopSpan.Seconds()) {
			count, since = n+1, first
		}
	}
	if count >= loopLimit {
		c.SetCookie(loopCookie(c) + "=; Max-Age=0; Path=/login; HttpOnly" + secureAttribute(c) + "; SameSite=Lax")
		return true
	}
	c.SetCookie(fmt.Sprintf("%s=%s.%d.%d; Max-Age=%d; Path=/login; HttpOnly%s; SameSite=Lax",
		loopCookie(c), place, count, since, int(loopSpan.Seconds()), secureAttribute(c)))
	return false
}

func loopCookie(c *endpoint.Call) string {
	if secureAttribute(c) != "" {
		return "__Secure-mana.login_return"
	}
	return "mana.login_return"
}

func secureAttribute(c *endpoint.Call) string {
	if c.BaseURL().Scheme == "https" {
		return "; Secure"
	}
	return ""
}

func parseLoop(value, place string) (count int, since int64, ok bool) {
	parts := strings.Split(value, ".")
	if len(parts) != 3 || parts[0] != place {
		return 0, 0, false
	}
	count, err := strconv.Atoi(parts[1])
	if err != nil || count < 1 || count > loopLimit {
		return 0, 0, false
	}
	since, err = strconv.ParseInt(parts[2], 10, 64)
	return count, since, err == nil
}
