package keyset

import (
	"strconv"
	"strings"
	"time"
)

// Cursor names a row by when it was made and its id. The zero Cursor stands before
// the first page, the newest rows.
type Cursor struct {
	At time.Time
	ID string
}

// maxID bounds the id in a text, in bytes.
const maxID = 255

// IsZero reports whether it stands before the first page.
func (c Cursor) IsZero() bool { return c.ID == "" }

// String is the cursor as a parameter of a URL, empty for the zero Cursor.
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	return strconv.FormatInt(c.At.UnixMicro(), 10) + "." + c.ID
}

// Parse reads what [Cursor.String] writes. Anything else is the zero Cursor.
func Parse(text string) Cursor {
	micros, id, ok := strings.Cut(text, ".")
	at, err := strconv.ParseInt(micros, 10, 64)
	if !ok || err != nil || id == "" || len(id) > maxID || at < 0 || at > 1<<52 || strings.ContainsRune(id, 0) || strings.ToValidUTF8(id, "") != id {
		return Cursor{}
	}
	return Cursor{time.UnixMicro(at).UTC(), id}
}

// Where is the condition of a statement, of those parts alone that are asked for:
// the statement of each combination has a plan of its own, which the words
// "$1 = empty OR …" would spoil.
type Where struct {
	sql  strings.Builder
	args []any
}

// And adds a condition, in which each ? stands for the next of the values.
func (w *Where) And(condition string, values ...any) {
	if w.sql.Len() > 0 {
		w.sql.WriteString(" AND ")
	}
	for _, v := range values {
		before, after, _ := strings.Cut(condition, "?")
		w.sql.WriteString(before + w.Arg(v))
		condition = after
	}
	w.sql.WriteString(condition)
}

// Before adds that the rows, of a table named so, follow the one of a cursor in
// the order of [Newest].
func (w *Where) Before(table string, c Cursor) {
	if !c.IsZero() {
		w.And("("+table+".created_at, "+table+".id) < (?, ?)", c.At, c.ID)
	}
}

// Arg takes a value, and is what stands for it in the statement.
func (w *Where) Arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// Args are the values.
func (w *Where) Args() []any { return w.args }

// String is the condition, with the word WHERE; empty where nothing is asked for.
func (w *Where) String() string {
	if w.sql.Len() == 0 {
		return ""
	}
	return " WHERE " + w.sql.String()
}

// Newest is the order of a table named so, the newest rows first.
func Newest(table string) string {
	return " ORDER BY " + table + ".created_at DESC, " + table + ".id DESC"
}

// Cut takes the row away that was read to see whether there are more than limit,
// and returns the cursor of the last one that stays; the zero Cursor where nothing
// follows it.
func Cut[T any](list []T, limit int, of func(T) Cursor) ([]T, Cursor) {
	if len(list) <= limit {
		return list, Cursor{}
	}
	list = list[:limit]
	return list, of(list[limit-1])
}
