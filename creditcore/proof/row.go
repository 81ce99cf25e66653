package proof

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Row is a row of the ledger with all that its hash is over. Amounts are thousandths
// of a credit. Hash is nil where the row is from before there were hashes.
type Row struct {
	UserID         string // the account
	Sequence       int64
	ID             string
	Type           string
	Status         string
	Amount         int64
	BalanceBefore  int64
	BalanceAfter   int64
	AppID          string
	Operation      string
	Description    string
	Metadata       *string // JSON, as PostgreSQL writes jsonb
	IdempotencyKey *string
	InternalKey    *string
	Reverses       *string
	HoldID         *string
	APIKeyID       *string `db:"api_key_id"`
	SpentBy        *string
	CreatedAt      time.Time // with microseconds
	CompletedAt    *time.Time
	Hash           []byte
}

const rowColumns = `t.user_id, t.sequence, t.id, t.type::text AS type, t.status::text AS status, t.amount, t.balance_before, t.balance_after, t.app_id, t.operation,
	t.description, t.metadata::text AS metadata, t.idempotency_key::text AS idempotency_key, t.internal_key, t.reverses, t.hold_id, t.api_key_id, t.spent_by,
	t.created_at, t.completed_at, t.hash`

// HashAfter is the hash that the row has after one with the given hash, which is nil
// for the first of an account and for the last that has none: what credits.chained
// makes of it.
func (r Row) HashAfter(before []byte) []byte {
	e := newRecord(21)
	e.bytes(before)
	e.text(&r.UserID)
	e.integer(r.Sequence)
	e.text(&r.ID)
	e.text(&r.Type)
	e.text(&r.Status)
	e.integer(r.Amount)
	e.integer(r.BalanceBefore)
	e.integer(r.BalanceAfter)
	e.text(&r.AppID)
	e.text(&r.Operation)
	e.text(&r.Description)
	e.json(r.Metadata)
	e.text(r.IdempotencyKey)
	e.text(r.InternalKey)
	e.text(r.Reverses)
	e.text(r.HoldID)
	e.text(r.APIKeyID)
	e.text(r.SpentBy)
	e.time(&r.CreatedAt)
	e.time(r.CompletedAt)
	hash := sha256.Sum256(e)
	return hash[:]
}

// record is a record as PostgreSQL's record_send writes one: the number of columns,
// then for each the number of its type, its length or -1 for NULL, and its bytes. Numbers
// are big endian.
type record []byte

// The numbers that PostgreSQL has for types.
const (
	oidBytes = 17
	oidInt8  = 20
	oidText  = 25
	oidTime  = 1184
	oidJSON  = 3802
)

// epoch is what PostgreSQL counts microseconds from.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func newRecord(columns uint32) record {
	return binary.BigEndian.AppendUint32(make(record, 0, 512), columns)
}

func (e *record) null(oid uint32) {
	*e = binary.BigEndian.AppendUint32(*e, oid)
	*e = binary.BigEndian.AppendUint32(*e, 1<<32-1)
}

func (e *record) column(oid uint32, length int) {
	*e = binary.BigEndian.AppendUint32(*e, oid)
	*e = binary.BigEndian.AppendUint32(*e, uint32(length)) //nolint:gosec // a column has 1 GB at most
}

func (e *record) bytes(v []byte) {
	if v == nil {
		e.null(oidBytes)
		return
	}
	e.column(oidBytes, len(v))
	*e = append(*e, v...)
}

func (e *record) text(v *string) {
	if v == nil {
		e.null(oidText)
		return
	}
	e.column(oidText, len(*v))
	*e = append(*e, *v...)
}

func (e *record) integer(v int64) {
	e.column(oidInt8, 8)
	*e = binary.BigEndian.AppendUint64(*e, uint64(v)) //nolint:gosec // two's complement is what is meant
}

// json has the number of a version before the text.
func (e *record) json(v *string) {
	if v == nil {
		e.null(oidJSON)
		return
	}
	e.column(oidJSON, 1+len(*v))
	*e = append(append(*e, 1), *v...)
}

func (e *record) time(v *time.Time) {
	if v == nil {
		e.null(oidTime)
		return
	}
	e.column(oidTime, 8)
	*e = binary.BigEndian.AppendUint64(*e, uint64(v.UnixMicro()-epoch.UnixMicro())) //nolint:gosec // as above
}
