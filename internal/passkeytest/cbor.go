package passkeytest

import "encoding/binary"

// entry is one of a CBOR map; keys are texts or integers, values also bytes and
// maps.
type entry struct{ key, value any }

type fields []entry

// The major types of CBOR (RFC 8949 section 3.1).
const (
	positive = 0 << 5
	negative = 1 << 5
	bytes    = 2 << 5
	text     = 3 << 5
	mapping  = 5 << 5
)

// object is a map in CBOR, its entries in the order given.
func object(entries ...entry) []byte { return appendValue(nil, fields(entries)) }

func appendValue(raw []byte, value any) []byte {
	switch v := value.(type) {
	case int:
		if v < 0 {
			return appendHead(raw, negative, -1-v)
		}
		return appendHead(raw, positive, v)
	case string:
		return append(appendHead(raw, text, len(v)), v...)
	case []byte:
		return append(appendHead(raw, bytes, len(v)), v...)
	case fields:
		raw = appendHead(raw, mapping, len(v))
		for _, e := range v {
			raw = appendValue(appendValue(raw, e.key), e.value)
		}
		return raw
	}
	panic("passkeytest: a value that CBOR is not written for")
}

func appendHead(raw []byte, major byte, n int) []byte {
	switch {
	case n < 24:
		return append(raw, major|byte(n))
	case n < 1<<8:
		return append(raw, major|24, byte(n))
	default:
		return binary.BigEndian.AppendUint16(append(raw, major|25), uint16(n))
	}
}
