package invoice

import (
	"time"

	"mana.how/edge/creditcore"
)

// month is a month, or the rest of one, of what an invoice line paid for.
type month struct {
	starts, ends time.Time
	credits      creditcore.Amount
}

// spread divides credits over the months of a period, evenly and in whole
// credits: somebody who pays a year gets a month's credits every month. A
// period of about a month or less is one.
func spread(credits creditcore.Amount, starts, ends time.Time) []month {
	const crumb = 3 * 24 * time.Hour // less than that belongs to the month before
	var bounds []time.Time
	for k := 0; k == 0 || ends.Sub(addMonths(starts, k)) > crumb; k++ {
		bounds = append(bounds, addMonths(starts, k))
	}
	n := int64(len(bounds))
	bounds = append(bounds, ends)
	var list []month
	given := creditcore.Amount(0)
	for k := range n {
		upTo := credits
		if k+1 < n {
			upTo = credits * creditcore.Amount(k+1) / creditcore.Amount(n)
			upTo -= upTo % creditcore.Credit
		}
		if upTo > given {
			list = append(list, month{bounds[k], bounds[k+1], upTo - given})
			given = upTo
		}
	}
	return list
}

// addMonths moves a time by months as Stripe does: where the month is too
// short for the day, its last day counts.
func addMonths(t time.Time, n int) time.Time {
	t = t.UTC()
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// kept is what a month is due when it is cut at a time: its share of the time
// before, to the nearest whole credit.
func (m month) kept(cut *time.Time) creditcore.Amount {
	switch {
	case cut == nil || !cut.Before(m.ends):
		return m.credits
	case !cut.After(m.starts):
		return 0
	}
	kept := m.credits.Share(int64(cut.Sub(m.starts)/time.Second), int64(m.ends.Sub(m.starts)/time.Second))
	return min(kept, m.credits)
}
