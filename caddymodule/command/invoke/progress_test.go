package invoke_test

import (
	"strings"
	"sync"
	"testing"

	"mana.how/edge/caddymodule/command/invoke"
)

// screen is a terminal that several goroutines may draw on.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// A bar grows by its steps, and leaves nothing behind.
func TestProgressIsDrawnAndTakenAway(t *testing.T) {
	t.Parallel()
	var s screen
	p := invoke.NewProgress(&s, 2)
	p.Step("ledger")
	p.Step("gifts")
	p.End()
	drawn := s.text.String()
	for _, want := range []string{"[------------------------] 0/2 ledger, 0s", "[############------------] 1/2 gifts, 0s"} {
		if !strings.Contains(drawn, want) {
			t.Errorf("%q lacks %q", drawn, want)
		}
	}
	if !strings.HasSuffix(drawn, "\r\x1b[K") {
		t.Errorf("%q leaves something behind", drawn)
	}
	quiet := invoke.NewProgress(nil, 2)
	quiet.Step("ledger")
	quiet.End()
}
