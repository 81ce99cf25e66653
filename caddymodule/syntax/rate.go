package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// ParseRate reads how many requests may pass in which time, as `100/1m`.
func ParseRate(text string) (requests int64, window time.Duration, err error) {
	count, period, _ := strings.Cut(text, "/")
	requests, countErr := strconv.ParseInt(count, 10, 64)
	window, windowErr := caddy.ParseDuration(period)
	if countErr != nil || windowErr != nil {
		return 0, 0, fmt.Errorf("%q is not <requests>/<duration>, such as 100/1m", text)
	}
	return requests, window, nil
}
