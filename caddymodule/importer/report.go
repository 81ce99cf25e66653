package importer

import "slices"

// maxNotes bounds how many notes of each kind a report holds; all are counted.
const maxNotes = 1000

// Report is what an import did, or would do.
type Report struct {
	DryRun bool `json:"dryRun"`
	// Tables are in the order of the import.
	Tables []Count `json:"tables"`
	// Mended is what was put right, and Refused what was left out. Each lists the first
	// thousand of a table.
	Mended  []Note `json:"mended"`
	Refused []Note `json:"refused"`
}

// Count is what became of the rows of a table.
type Count struct {
	Table     string `json:"table"`
	Created   int    `json:"created"`
	Updated   int    `json:"updated"`
	Unchanged int    `json:"unchanged"` // carried over before
	Removed   int    `json:"removed"`   // gone at the source since
	Kept      int    `json:"kept"`      // changed at the source, but here too
	Mended    int    `json:"mended"`
	Refused   int    `json:"refused"`
}

// Note is about one row of the source.
type Note struct {
	Table  string `json:"table"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// tally is what one batch adds to the report. A batch that is run again begins with
// an empty one.
type tally struct {
	table           string
	count           Count
	mended, refused []Note
}

func (t *tally) mend(id, reason string) {
	t.count.Mended++
	t.mended = append(t.mended, Note{t.table, id, reason})
}

func (t *tally) refuse(id, reason string) {
	t.count.Refused++
	t.refused = append(t.refused, Note{t.table, id, reason})
}

// add takes a batch into the report.
func (r *Report) add(t *tally) {
	i := slices.IndexFunc(r.Tables, func(c Count) bool { return c.Table == t.table })
	if i < 0 {
		i = len(r.Tables)
		r.Tables = append(r.Tables, Count{Table: t.table})
	}
	c := &r.Tables[i]
	r.Mended = appendSome(r.Mended, t.mended, c.Mended)
	r.Refused = appendSome(r.Refused, t.refused, c.Refused)
	c.Created += t.count.Created
	c.Updated += t.count.Updated
	c.Unchanged += t.count.Unchanged
	c.Removed += t.count.Removed
	c.Kept += t.count.Kept
	c.Mended += t.count.Mended
	c.Refused += t.count.Refused
}

// appendSome appends notes of a table that has had so many.
func appendSome(list, more []Note, had int) []Note {
	return append(list, more[:min(len(more), max(0, maxNotes-had))]...)
}
