package proof

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// Inclusion shows that a root covers a row of an account, the last one of that day:
// the path of its leaf in the tree of its bucket, and that of the bucket below the
// root (RFC 9162, section 2.1.3).
type Inclusion struct {
	Root     Root
	Sequence int64
	Hash     []byte
	Bucket   int64
	Index    int64 // of the leaf in its tree
	Size     int64 // leaves of that tree
	Path     []Hash
	// BucketPath is the path of the tree among the 256.
	BucketPath []Hash
}

// Include is the inclusion of an account in the root of a day, or in the latest for
// the zero time. It fails with [ErrNoRoot] or [ErrNotInRoot].
func (s *Service) Include(ctx context.Context, day time.Time, account string) (Inclusion, error) {
	var found Inclusion
	err := s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		row, err := dbscope.TxRow[rootRow](ctx, tx,
			`SELECT `+rootColumns+` FROM credits.roots WHERE $1::date IS NULL OR day = $1 ORDER BY day DESC LIMIT 1`, dayOrNull(day))
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNoRoot
		}
		if err != nil {
			return err
		}
		bucket := bucketOf(account)
		rows, err := tx.Query(ctx, leavesSQL, row.Day, bucket, bucket)
		if err != nil {
			return err
		}
		heads, err := pgx.CollectRows(rows, pgx.RowToStructByName[head])
		if err != nil {
			return err
		}
		index := slices.IndexFunc(heads, func(h head) bool { return h.UserID == account })
		if index < 0 {
			return ErrNotInRoot
		}
		leaves := make([]Hash, len(heads))
		for i, h := range heads {
			leaves[i] = h.leaf()
		}
		found = Inclusion{
			Root: row.root(), Sequence: heads[index].Sequence, Hash: heads[index].Hash, Bucket: int64(bucket),
			Index: int64(index), Size: int64(len(leaves)), Path: pathOf(leaves, index),
		}
		tops := make([]Hash, buckets)
		for i := range tops {
			tops[i] = leafHash(row.Buckets[i*len(Hash{}) : (i+1)*len(Hash{})])
		}
		found.BucketPath = pathOf(tops, bucket)
		return nil
	})
	return found, err
}

func bucketOf(account string) int { return int(sha256Of(account)[0]) }

// Leads reports whether the inclusion leads from the account to its root.
func (i Inclusion) Leads(account string) bool {
	tree, ok := rootFrom(head{UserID: account, Sequence: i.Sequence, Hash: i.Hash}.leaf(), i.Index, i.Size, i.Path)
	if !ok || i.Bucket != int64(bucketOf(account)) {
		return false
	}
	root, ok := rootFrom(leafHash(tree[:]), i.Bucket, buckets, i.BucketPath)
	return ok && root == i.Root.Hash
}
