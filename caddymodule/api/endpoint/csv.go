package endpoint

import (
	"strings"

	"mana.how/edge/creditcore"
)

// CSVCell makes a text fit for a cell of CSV that a spreadsheet opens: one that
// it would take for a formula is quoted with an apostrophe, unless it is a number.
func CSVCell(text string) string {
	if text == "" || !strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return text
	}
	if _, err := creditcore.ParseAmount(text); err == nil {
		return text
	}
	return "'" + text
}
