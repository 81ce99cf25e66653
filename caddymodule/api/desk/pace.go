package desk

import (
	"strconv"
	"time"

	"mana.how/edge/caddymodule/pages"
)

// Pace is how fast one process was in the last hour, by the minute, oldest first.
type Pace struct {
	Answers   []Minute // of the API and the pages
	HashWaits []Minute // of passwords for a core
}

// Minute is what 99 of a hundred took at most; zero where nothing happened.
type Minute struct {
	At  time.Time
	P99 time.Duration
}

// paceChart shows milliseconds. Its total is the longest.
func paceChart(title string, minutes []Minute) pages.DeskChart {
	var times []time.Time
	var values []int64
	var written []string
	longest := time.Duration(0)
	for _, m := range minutes {
		times, values = append(times, m.At), append(values, int64(m.P99))
		written = append(written, milliseconds(m.P99))
		longest = max(longest, m.P99)
	}
	return pages.DeskChart{Title: title, Total: milliseconds(longest), Chart: pages.NewChart(times, values, written)}
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Round(100*time.Microsecond))/float64(time.Millisecond), 'f', -1, 64)
}
