package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/pgtest"
)

// The channels of a family are served while they are there. Of a queue nothing is
// delivered before what stands in front of it is sent or dead; other queues go on.
func TestFamiliesAndQueues(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var in inbox
	var mu sync.Mutex
	members := []string{"one"}
	in.deliver = func(_ context.Context, m outbox.Message) error {
		switch text := string(m.Body); {
		case strings.Contains(text, "never"):
			return outbox.Permanent(errors.New("refused"))
		case strings.Contains(text, "later") && m.Attempts < 4:
			return errors.New("not yet")
		}
		return nil
	}
	cfg := config(t, db.Pool, &in)
	cfg.Families = map[string]outbox.Family{"hook": {Deliver: in.take, Members: func(context.Context) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(members), nil
	}}}
	cfg.Pauses = map[string][]time.Duration{"hook": {100 * time.Millisecond}}
	observed := map[string]int{}
	cfg.Observe = func(channel, _, outcome string, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		observed[channel+" "+outcome]++
	}
	b := outbox.New(cfg)
	message := func(member, queue, text string) outbox.Message {
		body, _ := json.Marshal(text)
		return outbox.Message{Channel: outbox.ChannelOf("hook", member), Kind: "told", Queue: queue, Body: body}
	}
	list := []outbox.Message{
		message("one", "a", "a1 later"), message("one", "a", "a2 never"), message("one", "a", "a3 later"), message("one", "a", "a4"),
		message("one", "b", "b1"), message("one", "b", "b2"), message("one", "", "free"), message("two", "a", "elsewhere"),
	}
	put(t, b, db.Pool, list...)
	if list[0].ID == "" || list[0].ID == list[1].ID {
		t.Errorf("ids %q and %q", list[0].ID, list[1].ID)
	}
	run(t, b)
	came := func() (all []string) {
		for _, m := range in.all() {
			all = append(all, strings.Trim(string(m.Body), `"`))
		}
		return all
	}
	until(t, "the channel is served", func() bool { return len(came()) == 6 })
	order := came()
	for _, pair := range [][2]string{{"a1 later", "a3 later"}, {"a3 later", "a4"}, {"b1", "b2"}, {"b2", "a1 later"}, {"free", "a1 later"}} {
		if slices.Index(order, pair[0]) > slices.Index(order, pair[1]) {
			t.Errorf("%s comes after %s: %v", pair[0], pair[1], order)
		}
	}
	if slices.Contains(order, "elsewhere") {
		t.Error("a channel of nobody is served")
	}
	mu.Lock()
	members = []string{"two"}
	mu.Unlock()
	until(t, "the other channel is served", func() bool { return slices.Contains(came(), "elsewhere") })
	until(t, "all is on record", func() bool { mu.Lock(); defer mu.Unlock(); return observed["hook sent"] == 7 })
	mu.Lock()
	if observed["hook dead"] != 1 || observed["hook retry"] != 6 {
		t.Errorf("observed %v", observed)
	}
	mu.Unlock()
	put(t, b, db.Pool, message("one", "a", "too late"), message("two", "a", "in time"))
	until(t, "what is served still", func() bool { return slices.Contains(came(), "in time") })
	if slices.Contains(came(), "too late") {
		t.Error("a channel is served that is gone")
	}
	err := b.Put(t.Context(), nil, outbox.Message{Channel: "hook", Kind: "told"})
	if other := b.Put(t.Context(), nil, outbox.Message{Channel: "nothing:one", Kind: "told"}); err == nil || other == nil {
		t.Errorf("channels of nothing: %v, %v", err, other)
	}
}
