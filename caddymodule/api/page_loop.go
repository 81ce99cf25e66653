package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// loopLimit is the number of the arrival from the same place that, within
	// loopSpan, is taken for a loop.
	loopLimit = 3
	loopSpan  = 20 * time.Second
)

// looping counts, in a short cookie, how often a signed-in browser was sent
// here by the same place, and reports whether that place and this one play
// ball: a cookie that does not reach it, or a clock that is off. The cookie is
// the browser's own affair and not signed.
func (c *call) looping(target string) bool {
	sum := sha256.Sum256([]byte(target))
	place := hex.EncodeToString(sum[:8])
	now := c.api.Now().Unix()
	count, since := 1, now
	if cookie, err := c.r.Cookie(c.loopCookie()); err == nil {
		if n, first, ok := parseLoop(cookie.Value, place); ok && now-first >= 0 && now-first < int64(loopSpan.Seconds()) {
			count, since = n+1, first
		}
	}
	if count >= loopLimit {
		c.setCookie(c.loopCookie() + "=; Max-Age=0; Path=/login; HttpOnly" + c.secureAttribute() + "; SameSite=Lax")
		return true
	}
	c.setCookie(fmt.Sprintf("%s=%s.%d.%d; Max-Age=%d; Path=/login; HttpOnly%s; SameSite=Lax",
		c.loopCookie(), place, count, since, int(loopSpan.Seconds()), c.secureAttribute()))
	return false
}

func (c *call) loopCookie() string {
	if c.secureAttribute() != "" {
		return "__Secure-mana.login_return"
	}
	return "mana.login_return"
}

func (c *call) secureAttribute() string {
	if c.api.BaseURL.Scheme == "https" {
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
