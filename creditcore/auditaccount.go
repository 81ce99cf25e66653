package creditcore

import (
	"context"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// AuditAccount checks the invariants of the ledger for one account.
func (s *Service) AuditAccount(ctx context.Context, userID string) (Report, error) {
	var report Report
	err := s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		report = Report{}
		found, err := tx.Query(ctx, auditAccountSQL, maxBreaches, userID)
		if err != nil {
			return err
		}
		if report.Breaches, err = pgx.CollectRows(found, pgx.RowToStructByName[Breach]); err != nil {
			return err
		}
		return tx.QueryRow(ctx,
			`SELECT (SELECT count(*) FROM credits.balances WHERE user_id = $1), (SELECT count(*) FROM credits.transactions WHERE user_id = $1)`,
			userID).Scan(&report.Accounts, &report.Entries)
	})
	return report, err
}

// accountTables are the tables that the audit reads and that have the rows of one
// account, $2.
var accountTables = []string{
	"credits.balances", "credits.transactions", "credits.usage_watermarks", "credits.usage_stats", "credits.spending",
	"credits.holds", "credits.debts", "credits.draws", "credits.lots", "auth.api_keys",
}

// theirLots are the lots that others have of an account's own: what its gifts passed
// on.
const theirLots = ` UNION ALL SELECT * FROM credits.lots WHERE user_id <> $2 AND parent IN (SELECT own.id FROM credits.lots AS own WHERE own.user_id = $2)`

// auditAccountSQL is the statement of [Service.Audit] over the rows of one account:
// each table is read through a common table expression of the same columns, so that
// what is checked there is checked here.
var auditAccountSQL = func() string {
	sql := strings.TrimPrefix(strings.TrimSpace(auditSQL), "WITH ")
	var rows []string
	for _, table := range accountTables {
		name, column, more := "account_"+strings.ReplaceAll(table, ".", "_"), "user_id", ""
		switch table {
		case "credits.lots":
			more = theirLots
		case "credits.spending":
			column = "account_id"
		}
		rows = append(rows, name+" AS (SELECT * FROM "+table+" WHERE "+column+" = $2"+more+")")
		sql = regexp.MustCompile(`\b`+regexp.QuoteMeta(table)+`\b`).ReplaceAllString(sql, name)
	}
	return "WITH " + strings.Join(rows, ", ") + ", " + sql
}()
