package tokens

// Usage is how many tokens an answer used. No token counts twice.
type Usage struct {
	Input      int64 `json:"input"`                // that went in, but for the next two
	Cached     int64 `json:"cached,omitempty"`     // that went in and were read from the provider's cache
	CacheWrite int64 `json:"cacheWrite,omitempty"` // that went in and were written to it
	Output     int64 `json:"output"`
}

// Most bounds each number of a usage object.
const Most = 1_000_000_000

// field is a number of a usage object.
type field uint8

const (
	promptTokens field = iota
	promptCached
	completionTokens
	inputTokens
	inputCached
	cacheRead
	cacheCreation
	outputTokens
	fieldCount
)

// report is what has been said, by one usage object or by all of an answer.
type report struct {
	numbers [fieldCount]int64
	said    [fieldCount]bool
}

// merge takes over what a later report says.
func (r *report) merge(later report) {
	for f, said := range later.said {
		if said {
			r.numbers[f], r.said[f] = later.numbers[f], true
		}
	}
}

// usage makes one of the shapes out of a report. OpenAI's input holds the tokens that
// were read from a cache, Anthropic's does not. It reports false where there is too
// little for a shape, and where more was read from a cache than went in.
func (r *report) usage() (Usage, bool) {
	n := &r.numbers
	switch {
	case r.said[promptTokens]: // embeddings have no completion
		return Usage{Input: n[promptTokens] - n[promptCached], Cached: n[promptCached], Output: n[completionTokens]},
			n[promptCached] <= n[promptTokens]
	case r.said[inputCached]:
		return Usage{Input: n[inputTokens] - n[inputCached], Cached: n[inputCached], Output: n[outputTokens]},
			r.said[inputTokens] && r.said[outputTokens] && n[inputCached] <= n[inputTokens]
	}
	return Usage{Input: n[inputTokens], Cached: n[cacheRead], CacheWrite: n[cacheCreation], Output: n[outputTokens]},
		r.said[inputTokens] && r.said[outputTokens]
}
