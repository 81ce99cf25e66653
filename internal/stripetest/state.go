package stripetest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// state is what a server keeps, but for answers to idempotency keys.
type state struct {
	Numbers map[string]int
	Objects map[string]object // without events
	Order   []string
	Pending map[string][]object
	Events  Events
}

// Save writes down all that there is, for [Server.Load].
func (s *Server) Save() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := state{Numbers: s.numbers, Objects: make(map[string]object), Order: s.order, Pending: s.pending, Events: s.events}
	for id, o := range s.objects {
		if o.kind() != "event" {
			kept.Objects[id] = o
		}
	}
	return json.Marshal(kept)
}

// Load takes back what Save wrote, in place of what there is.
func (s *Server) Load(saved []byte) error {
	var kept state
	decoder := json.NewDecoder(bytes.NewReader(saved))
	decoder.UseNumber()
	if err := decoder.Decode(&kept); err != nil {
		return fmt.Errorf("stripetest: load: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers, s.order, s.events = kept.Numbers, kept.Order, kept.Events
	s.objects, s.pending = make(map[string]object), make(map[string][]object)
	for id, o := range kept.Objects {
		s.objects[id] = loaded(map[string]any(o)).(object)
	}
	for _, e := range kept.Events {
		s.objects[e.ID] = e.object()
	}
	for sub, lines := range kept.Pending {
		for _, line := range lines {
			s.pending[sub] = append(s.pending[sub], loaded(map[string]any(line)).(object))
		}
	}
	return nil
}

// loaded gives a decoded value the types that the server works with.
func loaded(value any) any {
	switch v := value.(type) {
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return v.String()
		}
		return n
	case []any:
		for i, item := range v {
			v[i] = loaded(item)
		}
	case map[string]any:
		out := make(object, len(v))
		for name, field := range v {
			if texts, ok := field.(map[string]any); ok && name == "metadata" {
				out[name] = metadataOf(texts)
			} else {
				out[name] = loaded(field)
			}
		}
		return out
	}
	return value
}

func metadataOf(texts map[string]any) map[string]string {
	out := make(map[string]string, len(texts))
	for key, value := range texts {
		out[key], _ = value.(string)
	}
	return out
}
