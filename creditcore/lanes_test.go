package creditcore

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// What arrives while a batch is on its way shares the next one, and leaves as
// soon as the batch is slow.
func TestBatchesGoOneByOneUnlessSlow(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		want  string
	}{
		{"quick", slowLane / 2, "[1 4]"},
		{"slow", 4 * slowLane, "[1 4]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var sizes []int
				most, now := 0, 0
				b := newBatcher(func(batch []*item, _ bool) []*item {
					mu.Lock()
					sizes = append(sizes, len(batch))
					now++
					most = max(most, now)
					mu.Unlock()
					time.Sleep(c.takes)
					mu.Lock()
					now--
					mu.Unlock()
					return nil
				})
				began := time.Now()
				var wg sync.WaitGroup
				for i := range 5 {
					wg.Go(func() {
						if err := b.do(context.Background(), &item{UserID: fmt.Sprint(i)}); err != nil {
							t.Error(err)
						}
					})
					synctest.Wait()
				}
				wg.Wait()
				if got := fmt.Sprint(sizes); got != c.want {
					t.Errorf("the batches had %s items, want %s", got, c.want)
				}
				slow := c.takes > slowLane
				if want := map[bool]int{false: 1, true: 2}[slow]; most != want {
					t.Errorf("%d batches were on their way at once, want %d", most, want)
				}
				if want := map[bool]time.Duration{false: 2 * c.takes, true: slowLane + c.takes}[slow]; time.Since(began) != want {
					t.Errorf("all of it took %v, want %v", time.Since(began), want)
				}
				synctest.Wait()
				b.mu.Lock()
				defer b.mu.Unlock()
				if b.lanes != (lanes{}) {
					t.Errorf("the lanes are %+v at the end", b.lanes)
				}
			})
		})
	}
}

// A reading that stalls holds nobody up for longer than that, and the second
// lane is given up again under load.
func TestSlowReadingHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		readings := 0
		r := newReader(func(users []string) (map[string]standing, error) {
			mu.Lock()
			readings++
			stalls := readings == 1
			mu.Unlock()
			if stalls {
				time.Sleep(time.Second)
			} else {
				time.Sleep(time.Millisecond)
			}
			found := make(map[string]standing)
			for _, u := range users {
				found[u] = standing{UserID: u}
			}
			return found, nil
		})
		ask := func(user string) {
			if got, err := r.do(context.Background(), user); err != nil || got.UserID != user {
				t.Errorf("%s is answered %q, %v", user, got.UserID, err)
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { ask("first") })
		synctest.Wait()
		began := time.Now()
		ask("second")
		if took := time.Since(began); took != slowLane+time.Millisecond {
			t.Errorf("the second waited %v for a reading that stalled", took)
		}
		for i := range 8 { // load that never pauses
			wg.Go(func() {
				for range 1000 {
					ask(fmt.Sprint(i))
				}
			})
		}
		time.Sleep(1500 * time.Millisecond)
		r.mu.Lock()
		if r.lanes != (lanes{running: 1}) {
			t.Errorf("the lanes are %+v after the stall", r.lanes)
		}
		r.mu.Unlock()
		wg.Wait()
	})
}
