package stripetest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"
)

// Event is what Stripe would tell a webhook. Its fields may be changed before
// it is signed, such as Livemode, to play a wrong one.
type Event struct {
	ID         string
	Type       string
	APIVersion string
	Created    time.Time
	Livemode   bool
	// Object is the object as it was when the event was made.
	Object json.RawMessage
	// Previous are the former values of an event of type "….updated"; nil
	// where there are none.
	Previous json.RawMessage
	// RequestID and IdempotencyKey are those of the API call that caused the
	// event; both are empty for what happened at Stripe itself.
	RequestID      string
	IdempotencyKey string
}

// Events are in the order in which they were made.
type Events []Event

// Types are the types, in order.
func (all Events) Types() []string {
	out := make([]string, len(all))
	for i, e := range all {
		out[i] = e.Type
	}
	return out
}

// Of are the events of these types, in their order.
func (all Events) Of(types ...string) Events {
	var out Events
	for _, e := range all {
		if slices.Contains(types, e.Type) {
			out = append(out, e)
		}
	}
	return out
}

// Object is the id of the first event's object of this kind, such as "charge",
// "payment_intent" or "checkout.session". It is empty if no event is about one.
func (all Events) Object(kind string) string {
	for _, e := range all {
		if id, ok := e.about(kind); ok {
			return id
		}
	}
	return ""
}

// about is the id of the event's object if it is of this kind.
func (e Event) about(kind string) (string, bool) {
	var o struct{ ID, Object string }
	err := json.Unmarshal(e.Object, &o)
	return o.ID, err == nil && o.Object == kind
}

// object is the event as Stripe shows it.
func (e Event) object() object {
	data := object{"object": e.Object}
	if e.Previous != nil {
		data["previous_attributes"] = e.Previous
	}
	return object{
		"id": e.ID, "object": "event", "api_version": e.APIVersion, "created": e.Created.Unix(),
		"data": data, "livemode": e.Livemode, "pending_webhooks": int64(1), "type": e.Type,
		"request": object{"id": text(e.RequestID), "idempotency_key": text(e.IdempotencyKey)},
	}
}

// Events are all events so far, oldest first.
func (s *Server) Events() Events {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Emit makes an event of any type about an object as it is now.
func (s *Server) Emit(eventType, id string) Event {
	s.t.Helper()
	return s.verb(func() { s.emit(eventType, s.find(id)) })[0]
}

func (s *Server) emit(eventType string, o object) { s.emitChange(eventType, o, nil) }

func (s *Server) emitChange(eventType string, o object, previous json.RawMessage) {
	shown := s.show(o)
	if o.bool("deleted") { // the last event shows what was deleted
		shown = copied(o).(object)
	}
	e := Event{
		ID: s.name("event"), Type: eventType, APIVersion: stripe.APIVersion,
		Created: s.now, Livemode: o.bool("livemode"), Object: encode(shown), Previous: previous,
		RequestID: s.cause.request, IdempotencyKey: s.cause.key,
	}
	s.events = append(s.events, e)
	s.objects[e.ID] = e.object()
	s.order = append(s.order, e.ID)
}

// change alters an object and makes an event of it, if anything changed.
func (s *Server) change(eventType string, o object, alter func()) {
	before := s.show(o)
	alter()
	after := s.show(o)
	previous := make(object)
	for name, value := range before {
		if !bytes.Equal(encode(value), encode(after[name])) {
			previous[name] = value
		}
	}
	if len(previous) > 0 {
		s.emitChange(eventType, o, encode(previous))
	}
}

func (s *Server) eventRoutes() {
	s.retrieve("/v1/events", "event")
	s.lists("/v1/events", "event", "type types.*", matchers{
		"type": func(c *call, e object) bool { return !c.has("type") || ofType(e, c.str("type")) },
		"types.*": func(c *call, e object) bool {
			types := c.list("types")
			return len(types) == 0 || slices.ContainsFunc(types, func(t string) bool { return ofType(e, t) })
		},
	})
}

// ofType reports whether a type, or a group of types such as "invoice.*", is the
// event's.
func ofType(e object, filter string) bool {
	if group, ok := strings.CutSuffix(filter, "*"); ok {
		return strings.HasPrefix(e.str("type"), group)
	}
	return e.str("type") == filter
}
