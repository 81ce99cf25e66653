package caddymodule

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// None of these is parallel: they look at the collector of the whole process.

func TestHeapOfABusyProcessGrows(t *testing.T) {
	paced(t)
	until(t, "under load", func() bool {
		litter()
		return gcPercent() > 2*defaultPercent
	})
	until(t, "when the load is over", func() bool {
		runtime.GC()
		return gcPercent() == defaultPercent
	})

	until(t, "under load again", func() bool {
		litter()
		return gcPercent() > 2*defaultPercent
	})
	live := make([]byte, busyHeap)
	until(t, "with much that is live", func() bool {
		litter()
		return gcPercent() == defaultPercent
	})
	runtime.KeepAlive(live)
}

func TestHeapIsLeftToWhoeverSetsGOGC(t *testing.T) {
	paced(t)
	debug.SetGCPercent(50)
	for range 16 {
		litter()
		runtime.GC()
	}
	if n := gcPercent(); n != 50 {
		t.Errorf("GOGC was set to 50 and is %d", n)
	}
}

func TestHeapIsLeftToTheEnvironment(t *testing.T) {
	t.Setenv("GOGC", "100") // Go's default, but asked for
	p := new(heapPacer)
	defer p.keep()()
	if p.armed {
		t.Error("the heap is paced against GOGC of the environment")
	}
}

func TestHeapIsPacedForRuntimesOnly(t *testing.T) {
	t.Setenv("GOGC", "")
	p := new(heapPacer)
	was := debug.SetGCPercent(defaultPercent)
	t.Cleanup(func() { debug.SetGCPercent(was) })
	first, second := p.keep(), p.keep()
	p.set(300)
	first()
	first()
	if n := gcPercent(); n != 300 {
		t.Errorf("GOGC is %d though a runtime is open", n)
	}
	second()
	if n := gcPercent(); n != defaultPercent {
		t.Errorf("GOGC is %d after the last runtime", n)
	}
}

// litter allocates 32 MiB and keeps nothing.
func litter() {
	for range 1 << 12 {
		garbage = make([]byte, 8<<10)
	}
}

// garbage keeps the compiler from leaving an allocation out.
var garbage []byte

// paced sets a pacer to work in a process that has Go's default.
func paced(t *testing.T) {
	t.Helper()
	t.Setenv("GOGC", "")
	was := debug.SetGCPercent(defaultPercent)
	t.Cleanup(func() { debug.SetGCPercent(was) })
	t.Cleanup(new(heapPacer).keep())
}

func gcPercent() int { return readHeap().percent }

func until(t *testing.T, when string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s GOGC stays at %d", when, gcPercent())
		}
	}
}
