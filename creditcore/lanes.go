package creditcore

import "time"

const (
	// maxLanes bounds the statements of one kind that are on their way at once.
	maxLanes = 2
	// slowLane is when a statement counts as slow.
	slowLane = 25 * time.Millisecond
)

// lanes says when a statement for what waits may leave: while none is on its
// way, so that whatever arrives meanwhile shares the next one, or while the only
// one is slow, so that a stalled connection holds nobody else up. Its owner's
// lock guards it.
type lanes struct{ running, slow int }

// enter takes a lane if one is free.
func (l *lanes) enter() bool {
	if l.running == maxLanes || l.running > max(0, l.slow) {
		return false
	}
	l.running++
	return true
}

// leave gives a lane back, if nothing waits or another lane is enough.
func (l *lanes) leave(idle bool) bool {
	if !idle && l.running-1 <= max(0, l.slow) {
		return false
	}
	l.running--
	return true
}
