package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// quantile returns the q-quantile of sorted values by nearest rank.
func quantile[T any](sorted []T, q float64) T {
	i := int(q * float64(len(sorted)))
	return sorted[min(i, len(sorted)-1)]
}

// median returns the middle of the values, which need no order.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}

// side is one of the things compared, with its samples round by round.
type side struct {
	name    string
	samples []Sample
}

func (s side) rates() []float64 {
	return each(s.samples, Sample.Rate)
}

func (s side) p99s() []float64 {
	return each(s.samples, func(x Sample) float64 { return float64(x.P99) })
}

// ratio is the median of the rounds' ratios a/b.
func ratio(a, b []float64) float64 {
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}

// more is how much CPU time the process spends on a request of one side beyond that of
// another: the median of the rounds' differences.
func more(sides []side, name, base string) time.Duration {
	return difference(sides, name, base, Sample.PerRequest)
}

// later is how much later the first byte of an answer comes, as more is.
func later(sides []side, name, base string) time.Duration {
	return difference(sides, name, base, func(s Sample) float64 { return float64(s.First) })
}

func difference(sides []side, name, base string, of func(Sample) float64) time.Duration {
	values := make(map[string][]float64)
	for _, s := range sides {
		values[s.name] = each(s.samples, of)
	}
	differences := make([]float64, min(len(values[name]), len(values[base])))
	for i := range differences {
		differences[i] = values[name][i] - values[base][i]
	}
	return time.Duration(median(differences))
}

func each[T, U any](in []T, f func(T) U) []U {
	out := make([]U, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// report is Markdown.
type report struct{ strings.Builder }

func (r *report) line(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

// compare prints each side with its ratios against the first.
func (r *report) compare(title string, sides []side, targets map[string]string) {
	r.line("\n### %s\n", title)
	r.line("| side | requests/s | p50 | p99 | CPU of the edge a request | rate ratio | p99 ratio | target |")
	r.line("|---|---|---|---|---|---|---|---|")
	base := sides[0]
	for _, s := range sides {
		p50 := median(each(s.samples, func(x Sample) float64 { return float64(x.P50) }))
		cpu := "-"
		if spent := median(each(s.samples, Sample.PerRequest)); spent > 0 {
			cpu = time.Duration(spent).Round(100 * time.Nanosecond).String()
		}
		r.line("| %s | %.0f | %v | %v | %s | %.3f | %.3f | %s |", s.name, median(s.rates()),
			time.Duration(p50).Round(10*time.Microsecond), time.Duration(median(s.p99s())).Round(10*time.Microsecond), cpu,
			ratio(s.rates(), base.rates()), ratio(s.p99s(), base.p99s()), targets[s.name])
	}
}

// fact prints one figure.
func (r *report) fact(name, value, target string) {
	if target != "" {
		target = " (target " + target + ")"
	}
	r.line("- %s: **%s**%s", name, value, target)
}
