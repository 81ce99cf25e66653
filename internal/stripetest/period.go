package stripetest

import "time"

// next is the end of a period that begins at start. Months and years keep the
// day of the anchor as far as the month has it: the 31st becomes the 28th and
// then the 31st again.
func next(start, anchor time.Time, interval string, count int) time.Time {
	months := count
	switch interval {
	case "day":
		return start.AddDate(0, 0, count)
	case "week":
		return start.AddDate(0, 0, 7*count)
	case "year":
		months = 12 * count
	}
	first := time.Date(start.Year(), start.Month()+time.Month(months), 1, start.Hour(), start.Minute(), start.Second(), 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(anchor.Day(), last)-1)
}

// nextPeriod is the end of an item's period that begins at start.
func nextPeriod(sub, price object, start int64) int64 {
	return next(unix(start), unix(sub.int("billing_cycle_anchor")),
		price.str("recurring.interval"), int(price.int("recurring.interval_count"))).Unix()
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// prorated is the share of an amount that falls on what is left of a period
// at now, rounded to the nearest cent.
func prorated(amount, start, end, now int64) int64 {
	if end <= start {
		return 0
	}
	return (2*amount*(end-now) + (end - start)) / (2 * (end - start))
}
