package tokens

import (
	"bytes"
	"encoding/json"
	"strconv"
)

const (
	// deepest bounds how deep values may be nested.
	deepest = 512
	// longestKey and longestNumber bound what is kept of a text. No key that counts is
	// longer, escaped though each of its letters be, and no number up to Most.
	longestKey    = 192
	longestNumber = 10
)

// place is where in a value the scanner is, as far as that matters.
type place uint8

const (
	elsewhere place = iota
	top
	message       // of Anthropic's message_start
	response      // of events of OpenAI's responses
	usageSoFar    // message.usage
	usageInAll    // usage, response.usage
	promptDetails // usage.prompt_tokens_details
	inputDetails  // usage.input_tokens_details
	number        // a field of a usage object
)

// member is where a member of an object leads.
func (p place) member(key string) (place, field) {
	switch p {
	case top:
		switch key {
		case "usage":
			return usageInAll, 0
		case "message":
			return message, 0
		case "response":
			return response, 0
		}
	case message:
		if key == "usage" {
			return usageSoFar, 0
		}
	case response:
		if key == "usage" {
			return usageInAll, 0
		}
	case usageSoFar, usageInAll:
		switch key {
		case "prompt_tokens_details":
			return promptDetails, 0
		case "input_tokens_details":
			return inputDetails, 0
		case "prompt_tokens":
			return number, promptTokens
		case "completion_tokens":
			return number, completionTokens
		case "input_tokens":
			return number, inputTokens
		case "output_tokens":
			return number, outputTokens
		case "cache_read_input_tokens":
			return number, cacheRead
		case "cache_creation_input_tokens":
			return number, cacheCreation
		}
	case promptDetails:
		if key == "cached_tokens" {
			return number, promptCached
		}
	case inputDetails:
		if key == "cached_tokens" {
			return number, inputCached
		}
	}
	return elsewhere, 0
}

// counts reports whether what stands there is, or is in, a usage object.
func (p place) counts() bool { return p >= usageSoFar }

// phase is what the scanner waits for.
type phase uint8

const (
	beforeValue phase = iota
	beforeFirst       // element, or the end of the array
	beforeKey
	inKey
	beforeColon
	inString
	inBare // number, true, false or null
	afterValue
	over   // the value is
	broken // this is no JSON
)

// scanner reads one JSON value as it comes and takes a usage object out of it. It
// takes more for JSON than there is, but of a usage object only what is.
type scanner struct {
	phase   phase
	escaped bool // by the backslash before
	depth   int
	arrays  [deepest/8 + 1]byte // a bit a depth
	places  [5]place            // by depth, of objects
	value   place               // of the value that comes
	field   field               // that it is, if it is a number
	text    []byte              // of a key or a number that counts
	usages  int
	sofar   bool // the usage object is one of message
	lies    bool
	report  report
}

// reset begins another value.
func (s *scanner) reset() {
	text := s.text[:0]
	*s = scanner{text: text, value: top}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// write reads on.
func (s *scanner) write(p []byte) {
	for i := 0; i < len(p) && s.phase != broken; i++ {
		switch s.phase {
		case inKey, inString:
			if n := s.plain(p[i:]); n > 0 {
				i += n - 1
				continue
			}
			s.quoted(p[i])
		case inBare:
			if c := p[i]; !blank(c) && c != ',' && c != ']' && c != '}' {
				s.keep(c, longestNumber+1)
				continue
			}
			s.endBare()
			s.between(p[i])
		default:
			s.between(p[i])
		}
	}
}

// plain skips what stands in a string up to a quote or backslash, and reports how much.
func (s *scanner) plain(p []byte) int {
	if s.escaped {
		return 0
	}
	n := indexEither(p, '"', '\\')
	if s.phase == inKey {
		for _, c := range p[:min(n, longestKey+1)] {
			s.keep(c, longestKey+1)
		}
	}
	return n
}

// indexEither is where one of two bytes stands first, or else how long p is. It looks at so
// much at a time that neither is looked for again and again far behind the other.
func indexEither(p []byte, a, b byte) int {
	const window = 256
	for from := 0; from < len(p); from += window {
		part := p[from:min(from+window, len(p))]
		i := bytes.IndexByte(part, a)
		if i >= 0 {
			part = part[:i]
		}
		if j := bytes.IndexByte(part, b); j >= 0 {
			i = j
		}
		if i >= 0 {
			return from + i
		}
	}
	return len(p)
}

// keep adds to the text as long as it is no longer than that.
func (s *scanner) keep(c byte, longest int) {
	if len(s.text) < longest {
		s.text = append(s.text, c)
	}
}

// quoted reads a quote, a backslash or what is behind one.
func (s *scanner) quoted(c byte) {
	switch {
	case s.escaped, c == '\\':
		s.escaped = !s.escaped
		if s.phase == inKey {
			s.keep(c, longestKey+1)
		}
	case s.phase == inString:
		s.end()
	default:
		s.endKey()
	}
}

// endKey finds out what the value that comes is.
func (s *scanner) endKey() {
	raw := s.text
	s.text, s.phase = s.text[:0], beforeColon
	s.value, s.field = elsewhere, 0
	if s.depth >= len(s.places) || len(raw) > longestKey {
		return
	}
	key := string(raw)
	if bytes.IndexByte(raw, '\\') >= 0 && json.Unmarshal([]byte(`"`+key+`"`), &key) != nil {
		return
	}
	s.value, s.field = s.places[s.depth].member(key)
}

// between reads what stands between values.
func (s *scanner) between(c byte) {
	switch {
	case blank(c):
	case s.phase == beforeColon && c == ':':
		s.phase = beforeValue
	case s.phase == beforeKey && c == '"':
		s.phase = inKey
	case s.phase == beforeValue, s.phase == beforeFirst && c != ']':
		s.begin(c)
	case s.phase == beforeFirst, s.phase == afterValue && (c == ']' || c == '}'):
		s.close(c)
	case s.phase == afterValue && c == ',' && s.inArray():
		s.phase = beforeValue
	case s.phase == afterValue && c == ',':
		s.phase = beforeKey
	case s.phase == beforeKey && c == '}':
		s.close(c)
	default:
		s.fail()
	}
}

// begin reads the first byte of a value.
func (s *scanner) begin(c byte) {
	switch c {
	case '{':
		s.open(false)
	case '[':
		s.open(true)
	case '"':
		s.lies = s.lies || s.value.counts()
		s.phase = inString
	case ',', ':', ']', '}':
		s.fail()
	default:
		s.phase, s.text = inBare, append(s.text[:0], c)
	}
}

// open begins an object or array.
func (s *scanner) open(array bool) {
	if s.depth++; s.depth >= deepest {
		s.fail()
		return
	}
	at, bit := &s.arrays[s.depth/8], byte(1)<<(s.depth%8)
	if *at &^= bit; array {
		*at |= bit
	}
	if array || s.value == number {
		s.lies = s.lies || s.value.counts()
	}
	if s.value == usageSoFar || s.value == usageInAll {
		s.usages++
		s.sofar, s.lies = s.value == usageSoFar, s.lies || s.usages > 1
	}
	if s.phase = beforeKey; array {
		s.phase, s.value = beforeFirst, elsewhere
	}
	if s.depth < len(s.places) {
		s.places[s.depth] = s.value
	}
}

func (s *scanner) inArray() bool { return s.arrays[s.depth/8]&(1<<(s.depth%8)) != 0 }

// close ends an object or array.
func (s *scanner) close(c byte) {
	if s.depth == 0 || s.inArray() != (c == ']') {
		s.fail()
		return
	}
	s.depth--
	s.end()
}

// end is called behind a value.
func (s *scanner) end() {
	s.value = elsewhere
	if s.phase = afterValue; s.depth == 0 {
		s.phase = over
	}
}

// endBare takes down a number that counts. null says nothing.
func (s *scanner) endBare() {
	text := string(s.text)
	switch {
	case !s.value.counts() || text == "null":
	case s.value != number:
		s.lies = true
	default:
		n, ok := wholeNumber(text)
		s.lies = s.lies || !ok || s.report.said[s.field]
		s.report.numbers[s.field], s.report.said[s.field] = n, true
	}
	s.text = s.text[:0]
	s.end()
}

// fail gives up. What breaks off in a usage object lies.
func (s *scanner) fail() {
	s.lies, s.phase = s.lies || s.counting(), broken
}

// wholeNumber reads digits up to [Most].
func wholeNumber(text string) (int64, bool) {
	if len(text) > longestNumber {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return int64(n), err == nil && n <= Most && (len(text) == 1 || text[0] != '0') //nolint:gosec // of ten digits at most
}

// counting reports whether the scanner is in a usage object, or in a number of one.
func (s *scanner) counting() bool {
	if s.value.counts() {
		return true
	}
	for _, p := range s.places[:min(s.depth+1, len(s.places))] {
		if p.counts() {
			return true
		}
	}
	return false
}
