package caddymodule

import (
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"sync"
	"time"
)

// defaultPercent is Go's own GOGC.
const defaultPercent = 100

// busyHeap is the size in bytes that the heap may reach before a collection
// while requests come in fast.
const busyHeap = 64 << 20

// heap is paced while a runtime is open.
var heap heapPacer

// heapPacer spaces the garbage collections of a busy process. What lives in a
// proxy with few sessions are some MiB; to collect whenever as much again was
// allocated is dozens of times a second under load, and an eighth of the CPU
// time. So the heap may grow by what a second allocates, up to [busyHeap]. When
// the load is over, or more is live, Go's default holds. It never meddles with
// a GOGC that somebody else has set.
type heapPacer struct {
	mu        sync.Mutex
	users     int
	percent   int // the GOGC that rules if nobody else has set one
	armed     bool
	seen      time.Time
	allocated uint64 // bytes since the process began, when last seen
}

// keep paces the heap until release, unless the environment has a GOGC.
func (p *heapPacer) keep() (release func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users++
	if p.users == 1 {
		p.percent = defaultPercent
	}
	if !p.armed {
		p.seen, p.allocated = time.Now(), readHeap().allocated
		p.arm()
	}
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.users--; p.users == 0 && readHeap().percent == p.percent {
			p.set(defaultPercent)
		}
	})
}

// arm has the next collection looked at when it is over.
func (p *heapPacer) arm() {
	p.armed = true
	runtime.AddCleanup(new(*byte), (*heapPacer).collected, p)
}

func (p *heapPacer) collected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	if p.users == 0 {
		return
	}
	h, now := readHeap(), time.Now()
	if h.percent == p.percent && h.live > 0 {
		inSecond := float64(h.allocated-p.allocated) / max(now.Sub(p.seen), time.Millisecond).Seconds()
		room := min(inSecond, busyHeap-float64(h.live))
		next := max(defaultPercent, int(room*100/float64(h.live)))
		if next < p.percent || next > p.percent+p.percent/8 { // to set it stops the world for a moment
			p.set(next)
		}
	}
	p.seen, p.allocated = now, h.allocated
	p.arm()
}

func (p *heapPacer) set(percent int) {
	if percent != p.percent {
		p.percent = percent
		debug.SetGCPercent(percent)
	}
}

// heapState is the heap after the last collection: what was live, what the
// process has ever allocated, both in bytes, and the GOGC that rules.
type heapState struct {
	live, allocated uint64
	percent         int
}

func readHeap() heapState {
	samples := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/gogc:percent"}}
	runtimemetrics.Read(samples)
	return heapState{samples[0].Value.Uint64(), samples[1].Value.Uint64(), int(samples[2].Value.Uint64())}
}
