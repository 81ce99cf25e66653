package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// rootsPage is how many roots are read at once.
const rootsPage = 50

// roots makes each root again from what was noted, and verifies its signature and
// that it follows the one before it. Of one account alone roots cannot be made.
func (v *verification) roots(ctx context.Context) error {
	if v.scope.Account != "" {
		return nil
	}
	var before *rootRow
	var first time.Time
	if !v.scope.Since.IsZero() {
		first = DayOf(v.scope.Since)
		row, err := dbscope.One[rootRow](ctx, v.db, dbscope.System(), `SELECT `+rootColumns+` FROM credits.roots WHERE day < $1 ORDER BY day DESC LIMIT 1`, first)
		if err == nil {
			before = &row
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	for {
		page, err := dbscope.List[rootRow](ctx, v.db, dbscope.System(),
			`SELECT `+rootColumns+` FROM credits.roots WHERE $1::date IS NULL OR day >= $1 ORDER BY day LIMIT $2`, dayOrNull(first), rootsPage)
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := v.root(ctx, row, before); err != nil {
				return err
			}
			before, first = &row, row.Day.AddDate(0, 0, 1)
		}
		if len(page) < rootsPage {
			return nil
		}
	}
}

func (v *verification) root(ctx context.Context, row rootRow, before *rootRow) error {
	v.report.Roots++
	breach := func(format string, args ...any) error {
		return v.found(Breach{Kind: RootBroken, Day: row.Day, Detail: fmt.Sprintf(format, args...)})
	}
	var again rootRow
	err := v.db.Survey(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) (err error) {
		again, err = v.addUpTx(ctx, tx, row.Day)
		return err
	})
	if err != nil {
		return err
	}
	if !bytes.Equal(again.Hash, row.Hash) || !bytes.Equal(again.Buckets, row.Buckets) || again.Accounts != row.Accounts {
		err = breach("what was noted of %d accounts makes %x, the root of %d is %x: a note of that day or before was changed%s",
			again.Accounts, again.Hash, row.Accounts, row.Hash, otherBuckets(again.Buckets, row.Buckets))
		if err != nil {
			return err
		}
	}
	payload, err := v.notary.OpenProof(ctx, RootType, row.Statement)
	if err != nil {
		return breach("the statement is not signed by a proof key: %v", err)
	}
	var said RootStatement
	if err := json.Unmarshal(payload, &said); err != nil {
		return breach("the statement cannot be read: %v", err)
	}
	if said.Day != row.Day.Format(time.DateOnly) || said.Root != row.root().Hash || said.Accounts != row.Accounts {
		return breach("signed is %s of %d accounts on %s, the root is %x of %d", said.Root, said.Accounts, said.Day, row.Hash, row.Accounts)
	}
	switch {
	case before == nil && said.Previous != nil:
		return breach("the root of %s, which it follows, is not there", said.Previous.Day)
	case before != nil && (said.Previous == nil || said.Previous.Root != before.root().Hash || said.Previous.Day != before.Day.Format(time.DateOnly)):
		return breach("it does not follow the root of %s", before.Day.Format(time.DateOnly))
	}
	return nil
}

// otherBuckets names the trees that differ, by the first byte of the SHA-256 of the
// accounts in them.
func otherBuckets(now, then []byte) (text string) {
	if len(now) != len(then) {
		return ""
	}
	for i := range len(now) / len(Hash{}) {
		at := i * len(Hash{})
		if !bytes.Equal(now[at:at+len(Hash{})], then[at:at+len(Hash{})]) {
			text += fmt.Sprintf(" %02x", i)
		}
	}
	if text != "" {
		text = ", of accounts whose SHA-256 begins with" + text
	}
	return text
}
