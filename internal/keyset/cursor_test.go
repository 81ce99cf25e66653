package keyset_test

import (
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/keyset"
)

func TestCursorIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	c := keyset.Cursor{At: time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC), ID: "a.b"}
	if got := keyset.Parse(c.String()); got != c {
		t.Errorf("%s is read as %+v", c, got)
	}
	if got := (keyset.Cursor{}).String(); got != "" {
		t.Errorf("the zero cursor is written %q", got)
	}
	for _, bad := range []string{"", "x", "1.", ".a", "1", "-1.a", "99999999999999999999.a", "1e3.a", "9007199254740993.a", "1.a\x00", "1.\xff", "1." + strings.Repeat("a", 256)} {
		if got := keyset.Parse(bad); !got.IsZero() {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

func TestWhereIsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	var w keyset.Where
	if w.String() != "" {
		t.Errorf("nothing is %q", w.String())
	}
	w.And("e.user_id = ?", "u")
	w.Before("e", keyset.Cursor{})
	w.And("e.a BETWEEN ? AND ?", 1, 2)
	w.Before("e", keyset.Cursor{At: time.Unix(1, 0), ID: "x"})
	const want = " WHERE e.user_id = $1 AND e.a BETWEEN $2 AND $3 AND (e.created_at, e.id) < ($4, $5)"
	if got := w.String() + " LIMIT " + w.Arg(3); got != want+" LIMIT $6" || len(w.Args()) != 6 {
		t.Errorf("%q with %v", got, w.Args())
	}
}

func TestCutSaysWhatFollows(t *testing.T) {
	t.Parallel()
	of := func(id string) keyset.Cursor { return keyset.Cursor{ID: id} }
	if list, next := keyset.Cut([]string{"a", "b"}, 2, of); len(list) != 2 || !next.IsZero() {
		t.Errorf("a whole page: %v, %v", list, next)
	}
	if list, next := keyset.Cut([]string{"a", "b", "c"}, 2, of); len(list) != 2 || next.ID != "b" {
		t.Errorf("more than a page: %v, %v", list, next)
	}
}
