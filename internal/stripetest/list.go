package stripetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const paging = " limit:int starting_after ending_before created:int created.gte:int created.gt:int created.lte:int created.lt:int"

// matchers are the filters of a list that are more than a field of the object.
// They also run where their parameter is absent.
type matchers map[string]func(c *call, o object) bool

// lists adds the endpoint that lists a kind, newest first.
func (s *Server) lists(path, kind, filters string, own matchers) {
	s.route("GET "+path, "", filters+paging, func(c *call) (object, *refusal) {
		var matching []object
		for _, o := range s.all(kind) {
			if !o.bool("deleted") && c.selects(o, own) {
				matching = append(matching, o)
			}
		}
		slices.Reverse(matching)
		slices.SortStableFunc(matching, func(a, b object) int { return int(b.int("created") - a.int("created")) })
		return s.page(c, kind, matching)
	})
}

// selects reports whether an object passes all filters of the call.
func (c *call) selects(o object, own matchers) bool {
	for _, p := range c.known {
		name := strings.Join(p.path, ".")
		if match, ok := own[name]; ok {
			if !match(c, o) {
				return false
			}
			continue
		}
		if p.path[0] == "expand" || strings.Contains(paging, " "+name) || !c.has(name) {
			continue
		}
		if fmt.Sprint(o.at(name)) != c.str(name) {
			return false
		}
	}
	created := o.int("created")
	return (!c.has("created") || created == c.int("created")) &&
		(!c.has("created.gte") || created >= c.int("created.gte")) &&
		(!c.has("created.gt") || created > c.int("created.gt")) &&
		(!c.has("created.lte") || created <= c.int("created.lte")) &&
		(!c.has("created.lt") || created < c.int("created.lt"))
}

// page cuts one page out of a list.
func (s *Server) page(c *call, kind string, items []object) (object, *refusal) {
	limit := 10
	if c.has("limit") {
		limit = int(c.int("limit"))
	}
	if limit < 1 || limit > 100 {
		return nil, invalid("parameter_invalid_integer", "limit", "This value must be between 1 and 100.")
	}
	more := false
	cursor := func(name string) (int, *refusal) {
		i := slices.IndexFunc(items, func(o object) bool { return o.id() == c.str(name) })
		if i < 0 && s.objects[c.str(name)].kind() != kind {
			return 0, missing(http.StatusBadRequest, kind, c.str(name), name)
		}
		return i, nil
	}
	switch {
	case c.str("starting_after") != "":
		i, refused := cursor("starting_after")
		if refused != nil {
			return nil, refused
		}
		items = items[i+1:]
	case c.str("ending_before") != "":
		i, refused := cursor("ending_before")
		if refused != nil {
			return nil, refused
		}
		items = items[:max(i, 0)]
		if more = len(items) > limit; more {
			items = items[len(items)-limit:]
		}
	}
	if len(items) > limit {
		items, more = items[:limit], true
	}
	data := make([]any, len(items))
	for i, o := range items {
		data[i] = s.show(o)
	}
	return envelope(c.url, data, more), nil
}
