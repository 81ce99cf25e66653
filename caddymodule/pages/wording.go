package pages

import (
	"fmt"
	"strings"
	"time"
)

// amount writes a number with a decimal point (5, -0.02, 1234.5) as people do.
func (l Language) amount(number string) string {
	whole, fraction, broken := strings.Cut(number, ".")
	sign := ""
	if digits, negative := strings.CutPrefix(whole, "-"); negative {
		sign, whole = "−", digits
	}
	group, point := ",", "."
	if l == German {
		group, point = ".", ","
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + group + whole[i:]
	}
	if broken {
		fraction = point + fraction
	}
	return sign + whole + fraction
}

// credits writes an amount with its unit.
func (l Language) credits(number string) string {
	unit := "gift.credits"
	if number == "1" {
		unit = "gift.credit"
	}
	return l.amount(number) + " " + l.text(unit)
}

// euro writes a price in cents.
func (l Language) euro(cents int64) string {
	number := l.amount(fmt.Sprintf("%d.%02d", cents/100, cents%100))
	if l == German {
		return number + "\u00a0€"
	}
	return "€" + number
}

// day writes the UTC day of a time for people. The zero time is a dash.
func (l Language) day(t time.Time) string {
	switch {
	case t.IsZero():
		return "–"
	case l == German:
		return t.UTC().Format("02.01.2006")
	}
	return t.UTC().Format("2 Jan 2006")
}

// wait writes how long it is until something, rounded up.
func (l Language) wait(d time.Duration) string {
	n, unit := int64((d+time.Second-1)/time.Second), "second"
	switch {
	case d > 90*time.Minute:
		n, unit = int64((d+time.Hour-1)/time.Hour), "hour"
	case d > 90*time.Second:
		n, unit = int64((d+time.Minute-1)/time.Minute), "minute"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, l.text("wait."+unit))
}

// stamp writes a time for programs (RFC 3339).
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
