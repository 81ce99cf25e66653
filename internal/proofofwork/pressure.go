package proofofwork

import (
	"sync"
	"time"
)

// Under [Pressure] a minute begins or prolongs the time in which work is asked for.
const (
	// PressureFrom requests in a minute begin it.
	PressureFrom = 60
	// PressureStays requests in a minute prolong it.
	PressureStays = 30
	// PressureLasts is how long it goes on after such a minute.
	PressureLasts = 5 * time.Minute
)

// Pressure tells when so many requests come that each is to be worked for: from
// more than PressureFrom in a minute on, until there were five minutes with no
// more than PressureStays in any. It is safe for concurrent use; its zero value is
// ready.
type Pressure struct {
	mu     sync.Mutex
	minute int64 // since the epoch, the one that is counted
	count  int
	until  time.Time
}

// Count counts a request and reports whether there is pressure.
func (p *Pressure) Count(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if minute := now.Unix() / 60; minute != p.minute {
		p.minute, p.count = minute, 0
	}
	p.count++
	limit := PressureFrom
	if now.Before(p.until) {
		limit = PressureStays
	}
	if p.count > limit {
		p.until = now.Add(PressureLasts)
	}
	return now.Before(p.until)
}

// Now reports whether there is pressure, and counts nothing.
func (p *Pressure) Now(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.until)
}
