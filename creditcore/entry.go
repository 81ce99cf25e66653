package creditcore

import (
	"encoding/json"
	"time"
)

// EntryType is the kind of a ledger row, by its name on the wire.
type EntryType string

// The types this program writes. Imported rows may carry others.
const (
	Purchase   EntryType = "purchase"   // credits that were paid for
	Usage      EntryType = "usage"      // a charge
	Returned   EntryType = "refund"     // a charge or reservation that came back
	Gift       EntryType = "gift"       // a reservation (−), or credits received (+)
	Expiry     EntryType = "expiry"     // what was left of a lot whose time was over
	Adjustment EntryType = "adjustment" // a payment taken back, or a debt paid (−), or that again (+)
)

// Entry is a row of the ledger. UserID is the account, see [OrganizationAccount]. Amount is negative where credits left;
// BalanceAfter = BalanceBefore + Amount. Sequence counts the account's rows from 1.
type Entry struct {
	ID             string
	UserID         string
	Sequence       int64
	Type           EntryType
	Status         string
	Amount         Amount
	BalanceBefore  Amount
	BalanceAfter   Amount
	AppID          string
	Description    string
	Operation      string
	Metadata       json.RawMessage // an object, or nil
	IdempotencyKey *string
	Reverses       *string // the charge this gives back
	APIKey         *string `db:"api_key_id"` // the key that made the charge
	SpentBy        *string // the member who spent or bought, where the account is an organisation's
	CreatedAt      time.Time
	CompletedAt    *time.Time
}

const entryColumns = `t.id, t.user_id, t.sequence, t.type, t.status, t.amount, t.balance_before, t.balance_after, t.app_id,
	t.description, t.operation, t.metadata, t.idempotency_key, t.reverses, t.api_key_id, t.spent_by, t.created_at, t.completed_at`

// Balance is what an account has. Available = TotalEarned − TotalSpent; what
// open holds reserve (Held) counts as spent. Debt is owed for credits whose
// money went back; whatever comes in pays it first.
type Balance struct {
	UserID      string
	Available   Amount
	Held        Amount
	Debt        Amount
	TotalEarned Amount
	TotalSpent  Amount
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Receipt is the answer to a change: the ledger row and the balance after it.
// Replayed marks the answer to a repeated request; its Balance is today's.
type Receipt struct {
	Entry    Entry
	Balance  Balance
	Replayed bool
	Body     []byte // mark of the body that a settled hold's key stands for
}

// account is a row of credits.balances, as far as it goes out of the database.
type account struct {
	Balance     Amount
	Held        Amount
	Debt        Amount
	TotalEarned Amount
	TotalSpent  Amount
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

func (a account) of(userID string) Balance {
	return Balance{
		UserID: userID, Available: a.Balance - a.Held, Held: a.Held, Debt: a.Debt,
		TotalEarned: a.TotalEarned, TotalSpent: a.TotalSpent + a.Held,
		Version: a.Version, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
}
