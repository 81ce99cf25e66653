package proof

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"time"

	"mana.how/edge/internal/dbscope"
)

// Format is the name of what a [Document] is in.
const Format = "mana-ledger-1"

// Document is the history of an account with what proves it. Root and Inclusion are
// nil as long as no root covers the account. It ends with the rows, see
// [DocumentRow].
type Document struct {
	Format    string             `json:"format"`
	Account   string             `json:"account"`
	Issuer    string             `json:"issuer"`
	Keys      json.RawMessage    `json:"keys"` // a JWK set (RFC 7517)
	Root      *string            `json:"root"` // the signed statement of a root
	Inclusion *DocumentInclusion `json:"inclusion"`
}

// DocumentInclusion is an [Inclusion] in a document. Hashes are hexadecimal.
type DocumentInclusion struct {
	Day        string `json:"day"`
	Sequence   int64  `json:"sequence"`
	Hash       string `json:"hash"`
	Bucket     int64  `json:"bucket"`
	Index      int64  `json:"index"`
	Size       int64  `json:"size"`
	Path       []Hash `json:"path"`
	BucketPath []Hash `json:"bucketPath"`
}

// DocumentRow is a [Row] in a document. Amounts are thousandths of a credit, times
// have microseconds, and the metadata is the text that the hash is over.
type DocumentRow struct {
	Sequence       int64   `json:"sequence"`
	ID             string  `json:"id"`
	Type           string  `json:"type"`
	Status         string  `json:"status"`
	Amount         int64   `json:"amount"`
	BalanceBefore  int64   `json:"balanceBefore"`
	BalanceAfter   int64   `json:"balanceAfter"`
	AppID          string  `json:"appId"`
	Operation      string  `json:"operation"`
	Description    string  `json:"description"`
	Metadata       *string `json:"metadata"`
	IdempotencyKey *string `json:"idempotencyKey"`
	InternalKey    *string `json:"internalKey"`
	Reverses       *string `json:"reverses"`
	HoldID         *string `json:"holdId"`
	APIKeyID       *string `json:"apiKeyId"`
	SpentBy        *string `json:"spentBy"`
	CreatedAt      string  `json:"createdAt"`
	CompletedAt    *string `json:"completedAt"`
	Hash           *string `json:"hash"`
}

const microseconds = "2006-01-02T15:04:05.000000Z"

func documentRowOf(r Row) DocumentRow {
	d := DocumentRow{
		Sequence: r.Sequence, ID: r.ID, Type: r.Type, Status: r.Status, Amount: r.Amount, BalanceBefore: r.BalanceBefore, BalanceAfter: r.BalanceAfter,
		AppID: r.AppID, Operation: r.Operation, Description: r.Description, Metadata: r.Metadata, IdempotencyKey: r.IdempotencyKey,
		InternalKey: r.InternalKey, Reverses: r.Reverses, HoldID: r.HoldID, APIKeyID: r.APIKeyID, SpentBy: r.SpentBy,
		CreatedAt: r.CreatedAt.UTC().Format(microseconds),
	}
	if r.CompletedAt != nil {
		at := r.CompletedAt.UTC().Format(microseconds)
		d.CompletedAt = &at
	}
	if r.Hash != nil {
		hash := hex.EncodeToString(r.Hash)
		d.Hash = &hash
	}
	return d
}

// DocumentOf is the document of an account without its rows.
func (s *Service) DocumentOf(ctx context.Context, account string) (Document, error) {
	doc := Document{Format: Format, Account: account, Issuer: s.notary.Issuer(), Keys: s.notary.ProofKeys()}
	i, err := s.Include(ctx, time.Time{}, account)
	switch {
	case errors.Is(err, ErrNoRoot), errors.Is(err, ErrNotInRoot):
		return doc, nil
	case err != nil:
		return doc, err
	}
	doc.Root = &i.Root.Statement
	doc.Inclusion = &DocumentInclusion{
		Day: i.Root.Day.Format(time.DateOnly), Sequence: i.Sequence, Hash: hex.EncodeToString(i.Hash),
		Bucket: i.Bucket, Index: i.Index, Size: i.Size, Path: i.Path, BucketPath: i.BucketPath,
	}
	return doc, nil
}

// documentPage is how many rows are read at once for a document.
const documentPage = 1000

// EachRow calls add with every row of an account, the oldest first.
func (s *Service) EachRow(ctx context.Context, account string, add func(DocumentRow) error) error {
	for after := int64(0); ; {
		page, err := dbscope.List[Row](ctx, s.db, dbscope.System(),
			`SELECT `+rowColumns+` FROM credits.transactions AS t WHERE t.user_id = $1 AND t.sequence > $2 ORDER BY t.sequence LIMIT $3`,
			account, after, documentPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := add(documentRowOf(r)); err != nil {
				return err
			}
			after = r.Sequence
		}
		if len(page) < documentPage {
			return nil
		}
	}
}

// Write writes the document of an account, as it is read: a ledger may be long.
func (s *Service) Write(ctx context.Context, w io.Writer, doc Document) error {
	head, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	if _, err := w.Write(append(head[:len(head)-2], ",\n  \"rows\": ["...)); err != nil {
		return err
	}
	between := "\n    "
	err = s.EachRow(ctx, doc.Account, func(r DocumentRow) error {
		line, err := json.Marshal(r)
		if err == nil {
			_, err = w.Write(append([]byte(between), line...))
		}
		between = ",\n    "
		return err
	})
	if err == nil {
		_, err = io.WriteString(w, "\n  ]\n}\n")
	}
	return err
}
