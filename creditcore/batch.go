package creditcore

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// maxBatch bounds the items of one commit.
	maxBatch = 250
	// maxAlone bounds the accounts that are waited for because somebody else
	// has locked them; each keeps a connection.
	maxAlone = 2
	// aloneWait bounds the wait for one of those places.
	aloneWait = time.Second
	// turnWait bounds how long an item waits for others before it; what is on
	// its way has [dbscope.Wait].
	turnWait = 800 * time.Millisecond
)

// batcher gathers changes of accounts that arrive while others are on their
// way. Nothing waits for company: an item that finds a free lane goes at once.
//
// An account is in one batch at a time, so that batches of one process never
// wait for each other's locks, and no account keeps more than one connection
// busy. An account that somebody else has locked leaves its batch and is tried
// again alone.
type batcher struct {
	// run carries out a batch and returns what it did not because its account
	// is locked: nothing with wait, which waits for the lock.
	run func(batch []*item, wait bool) (locked []*item)

	mu      sync.Mutex
	waiting map[string][]*item // by account
	ready   []string           // accounts that wait and are not on their way, first come first served
	busy    map[string]bool    // accounts on their way
	lanes   lanes
	alone   chan struct{} // a place each
}

func newBatcher(run func(batch []*item, wait bool) []*item) *batcher {
	return &batcher{
		run: run, waiting: make(map[string][]*item), busy: make(map[string]bool), alone: make(chan struct{}, maxAlone),
	}
}

// do carries out an item with others. If ctx ends before the item is on its
// way the error is ctx's cause and nothing was done; afterwards its outcome is
// waited for.
func (b *batcher) do(ctx context.Context, it *item) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	it.done = make(chan struct{})
	b.mu.Lock()
	b.add(it)
	b.start()
	b.mu.Unlock()
	select {
	case <-it.done:
	case <-ctx.Done():
		if b.withdraw(it) {
			return context.Cause(ctx)
		}
		<-it.done
	}
	return it.err
}

func (b *batcher) add(it *item) {
	if len(b.waiting[it.UserID]) == 0 && !b.busy[it.UserID] {
		b.ready = append(b.ready, it.UserID)
	}
	b.waiting[it.UserID] = append(b.waiting[it.UserID], it)
}

// withdraw takes back an item that is not on its way yet.
func (b *batcher) withdraw(it *item) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	account := it.UserID
	i := slices.Index(b.waiting[account], it)
	if i < 0 {
		return false
	}
	if b.waiting[account] = slices.Delete(b.waiting[account], i, i+1); len(b.waiting[account]) == 0 {
		delete(b.waiting, account)
		if j := slices.Index(b.ready, account); j >= 0 {
			b.ready = slices.Delete(b.ready, j, j+1)
		}
	}
	return true
}

// start sends a batch on its way if something is ready and a lane is free. b.mu
// is held.
func (b *batcher) start() {
	if len(b.ready) > 0 && b.lanes.enter() {
		go b.work()
	}
}

// slow notes that a batch is slow; others need not wait for it.
func (b *batcher) slow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes.slow++
	b.start()
}

// work runs batches as long as something is ready and the lane is needed.
func (b *batcher) work() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.lanes.leave(len(b.ready) == 0) {
		batch := b.take()
		slow := time.AfterFunc(slowLane, b.slow)
		b.mu.Unlock()
		locked := b.run(batch, false)
		stuck := make(map[string][]*item)
		for _, it := range locked {
			stuck[it.UserID] = append(stuck[it.UserID], it)
		}
		for _, items := range stuck {
			go b.tryAlone(items)
		}
		b.mu.Lock()
		if !slow.Stop() {
			b.lanes.slow--
		}
		b.finish(batch, stuck)
	}
}

// tryAlone carries out the items of an account that somebody else had locked.
func (b *batcher) tryAlone(items []*item) {
	place := time.NewTimer(aloneWait)
	defer place.Stop()
	select {
	case b.alone <- struct{}{}:
		b.run(items, true)
		<-b.alone
	case <-place.C:
		for _, it := range items {
			it.err = ErrUnavailable
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finish(items, nil)
	b.start()
}

// take removes the next batch from what waits: whole queues, up to the limit.
func (b *batcher) take() []*item {
	var batch []*item
	for len(b.ready) > 0 && len(batch) < maxBatch {
		account := b.ready[0]
		b.ready = b.ready[1:]
		b.busy[account] = true
		queue := b.waiting[account]
		n := min(len(queue), maxBatch-len(batch))
		batch = append(batch, queue[:n]...)
		if n == len(queue) {
			delete(b.waiting, account)
		} else {
			b.waiting[account] = slices.Clone(queue[n:])
		}
	}
	return batch
}

// finish tells who waits for the items of a batch, but for those of stuck
// accounts, and lets the accounts go on their way again.
func (b *batcher) finish(batch []*item, stuck map[string][]*item) {
	for _, it := range batch {
		if !slices.Contains(stuck[it.UserID], it) {
			close(it.done)
		}
		if stuck[it.UserID] != nil || !b.busy[it.UserID] {
			continue
		}
		delete(b.busy, it.UserID)
		if len(b.waiting[it.UserID]) > 0 {
			b.ready = append(b.ready, it.UserID)
		}
	}
}
