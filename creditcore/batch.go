package creditcore

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// maxBatch bounds the debits of one commit.
	maxBatch = 64
	// maxBatches bounds the batches on their way at once. Few make them large:
	// what arrives meanwhile shares the next commit.
	maxBatches = 2
	// turnWait bounds how long a debit waits for others before it; what is on
	// its way has [dbscope.Wait].
	turnWait = 800 * time.Millisecond
)

// batcher gathers debits that arrive while others are on their way. Nothing
// waits for company: a debit that finds a free place goes at once. An account
// is in one batch at a time, so that batches of one process never wait for
// each other's locks.
type batcher struct {
	run func([]*debitItem)

	mu      sync.Mutex
	waiting map[string][]*debitItem // by account
	ready   []string                // accounts that wait and are not on their way, first come first served
	busy    map[string]bool         // accounts on their way
	running int
}

func newBatcher(run func([]*debitItem)) *batcher {
	return &batcher{run: run, waiting: make(map[string][]*debitItem), busy: make(map[string]bool)}
}

// do runs one debit with others. See [Service.Debit] for what ctx does; the
// error of one that did not get its turn is ctx's cause.
func (b *batcher) do(ctx context.Context, it *debitItem) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, err
	}
	it.done = make(chan struct{})
	b.mu.Lock()
	b.add(it)
	if b.running < maxBatches && len(b.ready) > 0 {
		b.running++
		go b.work()
	}
	b.mu.Unlock()
	select {
	case <-it.done:
	case <-ctx.Done():
		if b.withdraw(it) {
			return Receipt{}, context.Cause(ctx)
		}
		<-it.done
	}
	return it.receipt, it.err
}

func (b *batcher) add(it *debitItem) {
	account := it.account()
	if len(b.waiting[account]) == 0 && !b.busy[account] {
		b.ready = append(b.ready, account)
	}
	b.waiting[account] = append(b.waiting[account], it)
}

// withdraw takes back a debit that is not on its way yet.
func (b *batcher) withdraw(it *debitItem) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	account := it.account()
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

// work runs batches until nothing waits.
func (b *batcher) work() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		batch := b.take()
		if len(batch) == 0 {
			b.running--
			return
		}
		b.mu.Unlock()
		b.run(batch)
		for _, it := range batch {
			close(it.done)
		}
		b.mu.Lock()
		b.free(batch)
	}
}

// take removes the next batch from what waits: whole queues, up to the limit,
// but no two debits of an account under the same key.
func (b *batcher) take() []*debitItem {
	var batch []*debitItem
	for len(b.ready) > 0 && len(batch) < maxBatch {
		account := b.ready[0]
		b.ready = b.ready[1:]
		b.busy[account] = true
		queue := b.waiting[account]
		var kept []*debitItem
		keys := make(map[string]bool)
		for i, it := range queue {
			if len(batch) == maxBatch {
				kept = append(kept, queue[i:]...)
				break
			}
			if it.Key != "" && keys[it.Key] {
				kept = append(kept, it)
				continue
			}
			keys[it.Key] = true
			batch = append(batch, it)
		}
		if len(kept) == 0 {
			delete(b.waiting, account)
		} else {
			b.waiting[account] = kept
		}
	}
	return batch
}

// free lets the accounts of a batch go on their way again.
func (b *batcher) free(batch []*debitItem) {
	for _, it := range batch {
		account := it.account()
		if !b.busy[account] {
			continue
		}
		delete(b.busy, account)
		if len(b.waiting[account]) > 0 {
			b.ready = append(b.ready, account)
		}
	}
}
