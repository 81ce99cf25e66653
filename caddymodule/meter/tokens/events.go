package tokens

// events cuts server-sent events out of a stream (WHATWG HTML, section 9.2.6).
type events struct {
	field  int  // how much of the line is as dataField has it, less than 0 where it differs
	inData bool // behind the colon
	space  bool // where one may stand
	cr     bool // the last byte was a carriage return
	line   bool // something stands in the line
	data   bool // the event has any
}

const dataField = "data"

// next reads to the end of an event that has data, or all of p; data gets what it
// holds.
func (e *events) next(p []byte, data func([]byte)) (n int, ends bool) {
	for n < len(p) {
		c := p[n]
		if c == '\n' && e.cr {
			e.cr = false
			n++
			continue
		}
		if e.cr = c == '\r'; e.cr || c == '\n' {
			n++
			if e.endLine(data) {
				if e.cr && n < len(p) && p[n] == '\n' {
					e.cr = false
					n++
				}
				return n, true
			}
			continue
		}
		if e.line = true; e.inData {
			n += e.copy(p[n:], data)
			continue
		}
		e.name(c, data)
		n++
	}
	return n, false
}

// copy hands on what stands in the line, and reports how much that is.
func (e *events) copy(p []byte, data func([]byte)) int {
	end := indexEither(p, '\n', '\r')
	if text := p[:end]; e.space && text[0] == ' ' {
		data(text[1:])
	} else {
		data(text)
	}
	e.space = false
	return end
}

// name reads a byte of a field's name.
func (e *events) name(c byte, data func([]byte)) {
	switch {
	case e.field == len(dataField) && c == ':':
		e.beginData(data)
	case e.field >= 0 && e.field < len(dataField) && c == dataField[e.field]:
		e.field++
	default:
		e.field = -1
	}
}

// beginData is called where a line of data begins. Several lines are one text.
func (e *events) beginData(data func([]byte)) {
	if e.data {
		data([]byte{'\n'})
	}
	e.inData, e.space, e.data = true, true, true
}

// endLine reports whether the event ends with the line.
func (e *events) endLine(data func([]byte)) bool {
	if e.field == len(dataField) && !e.inData { // a line that is but the name
		e.beginData(data)
	}
	ends := !e.line && e.data
	e.data = e.data && !ends
	e.field, e.inData, e.line = 0, false, false
	return ends
}
