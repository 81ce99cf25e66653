package importer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// row is a row of a table, by column, as PostgreSQL writes it in JSON. Numbers are
// [json.Number].
type row map[string]any

// sourceRow is a row of the source and what it is known by here.
type sourceRow struct {
	id     string
	digest string
	row    row
}

// parseRow reads a row; the column key names it.
func parseRow(doc []byte, key string) (sourceRow, error) {
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber()
	r := sourceRow{digest: digest(doc)}
	if err := decoder.Decode(&r.row); err != nil {
		return r, fmt.Errorf("a row of the source: %w", err)
	}
	r.id = r.row.text(key)
	return r, nil
}

// digest is a short mark of a text.
func digest(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:16])
}

// text is the text of a column, empty for NULL.
func (r row) text(column string) string {
	switch v := r[column].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// is reports whether a column is true.
func (r row) is(column string) bool {
	set, _ := r[column].(bool)
	return set
}

// has reports whether a column is not NULL.
func (r row) has(column string) bool { return r[column] != nil }

// time is the time of a column, zero for NULL.
func (r row) time(column string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, r.text(column)); err == nil {
			return at
		}
	}
	return time.Time{}
}

// number is the integer of a column, zero for NULL.
func (r row) number(column string) int64 {
	n, _ := new(big.Rat).SetString(r.text(column))
	if n == nil || !n.IsInt() || !n.Num().IsInt64() {
		return 0
	}
	return n.Num().Int64()
}

// object is the JSON object of a column, empty where there is none.
func (r row) object(column string) row {
	v, _ := r[column].(map[string]any)
	return v
}

// only is the row with these columns and no other.
func (r row) only(columns ...string) row {
	out := make(row, len(columns))
	for _, c := range columns {
		out[c] = r[c]
	}
	return out
}

// with is the row with one column of another value.
func (r row) with(column string, value any) row {
	r[column] = value
	return r
}

// oneOf reports whether a text is one of a list.
func oneOf(text string, list ...string) bool { return slices.Contains(list, text) }

// maxCredits is the most that an amount may be, in thousandths of a credit.
const maxCredits = 1_000_000_000_000

// milli reads credits as thousandths. exact is false where something finer was
// rounded, or the value is out of range and was cut.
func milli(text string) (amount int64, exact bool) {
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, text == ""
	}
	n.Mul(n, big.NewRat(1000, 1))
	rounded, _ := new(big.Int).SetString(n.FloatString(0), 10)
	if !rounded.IsInt64() || rounded.CmpAbs(big.NewInt(1000*maxCredits)) > 0 {
		return int64(rounded.Sign()) * 1000 * maxCredits, false
	}
	return rounded.Int64(), n.IsInt()
}

// credits reads an amount of credits, a whole number in the replaced service, and says
// what there is to say about it.
func credits(t *tally, id, what, text string) int64 {
	amount, exact := milli(text)
	switch {
	case !exact:
		t.mend(id, fmt.Sprintf("%s: %s was rounded to thousandths of a credit", what, text))
	case amount%1000 != 0:
		t.mend(id, fmt.Sprintf("%s: %s is no whole number, and was kept to the thousandth", what, text))
	}
	return amount
}
