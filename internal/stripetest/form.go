package stripetest

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// form are the parameters of a request. A parameter is named by its path:
// "line_items.0.price" is line_items[0][price] on the wire.
type form url.Values

// wire is how a path is written in a form.
func wire(path string) string {
	head, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		return head
	}
	return head + "[" + strings.ReplaceAll(rest, ".", "][") + "]"
}

// segments take a name on the wire apart: a[b][c] is a, b, c.
func segments(name string) []string {
	head, rest, deeper := strings.Cut(name, "[")
	if !deeper {
		return []string{head}
	}
	return append([]string{head}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
}

func (f form) str(path string) string { return url.Values(f).Get(wire(path)) }
func (f form) has(path string) bool   { return url.Values(f).Has(wire(path)) }
func (f form) bool(path string) bool  { return f.str(path) == "true" }

// int is 0 where there is no number; the route's spec has refused other texts.
func (f form) int(path string) int64 {
	n, _ := strconv.ParseInt(f.str(path), 10, 64)
	return n
}

// under reports whether any parameter lies under the path.
func (f form) under(path string) bool {
	return len(f.keys(path)) > 0
}

// keys are the names one step under the path: indices in the order of their
// numbers, other names sorted.
func (f form) keys(path string) []string {
	at := segments(wire(path))
	var out []string
	for name := range f {
		parts := segments(name)
		if len(parts) > len(at) && slices.Equal(parts[:len(at)], at) && !slices.Contains(out, parts[len(at)]) {
			out = append(out, parts[len(at)])
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) && numeric(a) && numeric(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return out
}

// list are the values of an array, which a client may also write as a[]=.
func (f form) list(path string) []string {
	var out []string
	for _, key := range f.keys(path) {
		if key == "" {
			out = append(out, f[wire(path)+"[]"]...)
			continue
		}
		out = append(out, f.str(path+"."+key))
	}
	return out
}

// metadata is a new object's.
func (f form) metadata(path string) map[string]string {
	out := make(map[string]string)
	f.merge(path, out)
	return out
}

// merge changes metadata as Stripe does: an empty value removes its key, an
// empty parameter all of them.
func (f form) merge(path string, into map[string]string) {
	if f.has(path) && f.str(path) == "" {
		clear(into)
	}
	prefix := wire(path) + "["
	for name, values := range f {
		key, ok := strings.CutPrefix(name, prefix)
		if !ok || len(values) == 0 {
			continue
		}
		key = strings.TrimSuffix(key, "]")
		if values[0] == "" {
			delete(into, key)
		} else {
			into[key] = values[0]
		}
	}
}

func numeric(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}
