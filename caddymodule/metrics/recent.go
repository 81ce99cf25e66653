package metrics

import (
	"math"
	"sync"
	"time"

	"mana.how/edge/caddymodule/api/desk"
)

// recentMinutes is how far back the desk sees.
const recentMinutes = 60

// Bounds of the buckets of a minute: each is a fifth wider than the one before.
const (
	leastTime   = 100 * time.Microsecond
	bucketRatio = 1.2
	buckets     = 72 // up to 50 s
)

// recent is how long something took in each of the last minutes, of this process.
type recent struct {
	mu      sync.Mutex
	minutes [recentMinutes]minute
}

type minute struct {
	at     int64 // minutes since 1970
	n      int
	counts [buckets]int32
}

func (r *recent) observe(took time.Duration, now time.Time) {
	bucket := 0
	if took > leastTime {
		bucket = min(buckets-1, int(math.Ceil(math.Log(float64(took)/float64(leastTime))/math.Log(bucketRatio))))
	}
	at := now.Unix() / 60
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.minutes[at%recentMinutes]
	if m.at > at {
		return // a clock that was put back
	}
	if m.at < at {
		*m = minute{at: at}
	}
	m.n++
	m.counts[bucket]++
}

// series is the 99th percentile of each of the last minutes, oldest first, zero
// where nothing happened. It is up to a fifth too long.
func (r *recent) series(now time.Time) []desk.Minute {
	newest := now.Unix() / 60
	list := make([]desk.Minute, 0, recentMinutes)
	r.mu.Lock()
	defer r.mu.Unlock()
	for at := newest - recentMinutes + 1; at <= newest; at++ {
		shown := desk.Minute{At: time.Unix(at*60, 0).UTC()}
		if m := &r.minutes[at%recentMinutes]; m.at == at {
			shown.P99 = m.percentile(0.99)
		}
		list = append(list, shown)
	}
	return list
}

func (m *minute) percentile(p float64) time.Duration {
	rank, seen := int32(math.Ceil(p*float64(m.n))), int32(0)
	for i, n := range m.counts {
		if seen += n; seen >= rank {
			return time.Duration(float64(leastTime) * math.Pow(bucketRatio, float64(i)))
		}
	}
	return 0
}

// Recent is how fast this process was in the last hour, for the desk.
func (m *Set) Recent() desk.Pace {
	now := time.Now()
	return desk.Pace{Answers: m.recentAnswers.series(now), HashWaits: m.recentWaits.series(now)}
}
