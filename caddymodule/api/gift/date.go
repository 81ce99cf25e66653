package gift

import (
	"strings"
	"time"
)

// dateLayouts are the ways in which clients write when a gift ends: those of
// ISO 8601 and what JavaScript's Date prints and commonly reads. One without a
// zone is of UTC.
var dateLayouts = []string{
	time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04",
	time.DateTime, "2006-01-02 15:04", "2006-01-02 15:04:05Z07:00", time.DateOnly, "2006-01", "2006", "2006/1/2", "1/2/2006",
	"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC1123Z, "Mon Jan 02 2006 15:04:05 GMT-0700", "Mon Jan 02 2006",
	"Jan 2, 2006", "January 2, 2006", "2 Jan 2006", "2 January 2006", "Jan 2, 2006 15:04:05", "January 2, 2006 15:04:05",
}

// parseDate reads a date in any of dateLayouts, of which no two differ on what
// a text means.
func parseDate(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if i := strings.Index(s, " ("); i > 0 { // the zone's name, as Date prints it
		s = s[:i]
	}
	for _, layout := range dateLayouts {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
