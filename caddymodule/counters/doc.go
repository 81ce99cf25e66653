// Package counters counts for rate limits, in the memory of the process or in
// Redis. What counts in Redis goes on in memory while Redis is away. Counters of
// the process outlive a reload.
package counters
