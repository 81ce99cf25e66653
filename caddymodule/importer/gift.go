package importer

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/address"
)

// giftsSQL reads each gift with its redemptions.
const giftsSQL = `
	SELECT to_jsonb(g) || jsonb_build_object('redemptions', (
		SELECT jsonb_agg(to_jsonb(r) ORDER BY r.created_at, r.id) FROM gifts.gift_redemptions AS r WHERE r.gift_code_id = g.id))
	FROM gifts.gift_codes AS g
	ORDER BY g.id::text COLLATE "C"`

// gifts carries gifts over with their redemptions. Those that ended keep no reservation:
// what came back of them came back in the replaced service. Those that it called expired
// without giving anything back are open again for the moment, so that the expiry of this
// edge pays what nobody claimed back to who gave it.
func (r *run) gifts(ctx context.Context) error {
	return r.src.each(ctx, "id", giftsSQL, accountBatch, func(list []sourceRow) error {
		err := r.inBatch(ctx, "gifts.gift_codes", func(tx pgx.Tx, t *tally) error {
			for _, in := range list {
				if err := r.gift(ctx, tx, t, in); err != nil {
					return err
				}
			}
			return nil
		})
		if _, refused := refusal(err); !refused {
			return err
		}
		for _, in := range list {
			err := r.inBatch(ctx, "gifts.gift_codes", func(tx pgx.Tx, t *tally) error { return r.gift(ctx, tx, t, in) })
			if reason, refused := refusal(err); refused {
				err = r.inBatch(ctx, "gifts.gift_codes", func(_ pgx.Tx, t *tally) error { t.refuse(in.id, reason); return nil })
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// entry is a row of the ledger that a gift names.
type entry struct {
	ID     string
	UserID string
	Type   string
	Amount int64
}

const giftMark = `md5(ROW(g.status, g.claimed_portions, g.target_email, g.target_matrix_id)::text)`

func (r *run) gift(ctx context.Context, tx pgx.Tx, t *tally, in sourceRow) error {
	before, err := imported(ctx, tx, "gifts.gift_codes", []string{in.id})
	if err != nil {
		return err
	}
	known, was := before[in.id]
	if was && known.source == in.digest {
		t.count.Unchanged++
		return nil
	}
	if !r.here(t, in, "creator_id") {
		return nil
	}
	entries, err := giftEntries(ctx, tx, in)
	if err != nil {
		return err
	}
	gift, redemptions := r.mendGift(t, in, entries)
	doc, err := encode([]row{gift})
	if err != nil {
		return err
	}
	verb := `INSERT INTO gifts.gift_codes (id, code, short_url, creator_id, total_credits, credits_per_portion, total_portions, claimed_portions, type, status,
			target_email, target_matrix_id, riddle_question, riddle_answer_hash, message, expires_at, reservation_transaction_id, created_at)
		SELECT n.id, n.code, n.short_url, n.creator_id, n.total_credits, n.credits_per_portion, n.total_portions, n.claimed_portions, n.type, n.status,
			n.target_email, n.target_matrix_id, n.riddle_question, n.riddle_answer_hash, n.message, n.expires_at, n.reservation_transaction_id, n.created_at
		FROM jsonb_populate_recordset(NULL::gifts.gift_codes, $1::jsonb) AS n
		ON CONFLICT DO NOTHING`
	args := []any{doc}
	if was {
		verb = `UPDATE gifts.gift_codes AS g
			SET status = n.status, claimed_portions = n.claimed_portions, reservation_transaction_id = n.reservation_transaction_id, updated_at = now()
			FROM jsonb_populate_recordset(NULL::gifts.gift_codes, $1::jsonb) AS n
			WHERE g.id = n.id AND $2 = ` + giftMark
		args = append(args, known.written)
	}
	tag, err := tx.Exec(ctx, verb, args...)
	switch {
	case err != nil:
		return err
	case tag.RowsAffected() == 0 && was:
		t.count.Kept++
		return nil
	case tag.RowsAffected() == 0:
		t.refuse(in.id, "there is a gift with its id or code here already")
		return nil
	case was:
		t.count.Updated++
	default:
		t.count.Created++
	}
	if len(redemptions) > 0 {
		if doc, err = encode(redemptions); err == nil {
			_, err = tx.Exec(ctx, `
				INSERT INTO gifts.gift_redemptions (id, gift_code_id, redeemer_user_id, status, credits_received, portion_number, credit_transaction_id, source_app_id, created_at, repeatable)
				SELECT n.id, n.gift_code_id, n.redeemer_user_id, n.status, n.credits_received, n.portion_number, n.credit_transaction_id, n.source_app_id, n.created_at, n.repeatable
				FROM jsonb_populate_recordset(NULL::gifts.gift_redemptions, $1::jsonb) AS n
				ON CONFLICT (id) DO NOTHING`, doc)
		}
		if err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO mana.imported (kind, id, source, written)
		SELECT 'gifts.gift_codes', g.id, $2, `+giftMark+` FROM gifts.gift_codes AS g WHERE g.id = $1
		ON CONFLICT (kind, id) DO UPDATE SET source = excluded.source, written = excluded.written`, in.id, in.digest)
	return err
}

// giftEntries are the entries here that a gift and its redemptions name.
func giftEntries(ctx context.Context, tx pgx.Tx, in sourceRow) (map[string]entry, error) {
	named := []string{in.row.text("reservation_transaction_id")}
	for _, r := range redemptionsOf(in) {
		named = append(named, r.text("credit_transaction_id"))
	}
	rows, err := tx.Query(ctx, `SELECT t.id, t.user_id, t.type::text AS type, t.amount FROM credits.transactions AS t WHERE t.id = ANY ($1)`, named)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[entry])
	found := make(map[string]entry, len(list))
	for _, e := range list {
		found[e.ID] = e
	}
	return found, err
}

func redemptionsOf(in sourceRow) (list []row) {
	listed, _ := in.row["redemptions"].([]any)
	for _, each := range listed {
		list = append(list, row(each.(map[string]any)))
	}
	return list
}

// mendGift makes a gift and its redemptions agree with each other and with the ledger.
func (r *run) mendGift(t *tally, in sourceRow, entries map[string]entry) (row, []row) {
	out := in.row.only("id", "code", "short_url", "creator_id", "type", "target_matrix_id", "riddle_question", "riddle_answer_hash",
		"message", "expires_at", "created_at")
	per := credits(t, in.id, "credits_per_portion", in.row.text("credits_per_portion"))
	portions := max(1, in.row.number("total_portions"))
	total := credits(t, in.id, "total_credits", in.row.text("total_credits"))
	if total != per*portions {
		t.mend(in.id, "total_credits: was not the sum of the portions, and became it")
		total = per * portions
	}
	out["credits_per_portion"], out["total_portions"], out["total_credits"] = per, portions, total
	kind := in.row.text("type")
	if !oneOf(kind, "simple", "personalized", "split", "first_come", "riddle") {
		t.mend(in.id, "type: "+kind+" is not known here, and became simple")
		out["type"] = "simple"
	}
	if out["target_email"] = nil; in.row.text("target_email") != "" {
		out["target_email"] = address.Lookup(in.row.text("target_email"))
	}
	if in.row.text("target_matrix_id") == "" {
		out["target_matrix_id"] = nil
	}
	if in.row.has("riddle_answer_hash") && !in.row.has("riddle_question") {
		t.mend(in.id, "riddle_question: was missing beside an answer, and became ?")
		out["riddle_question"] = "?"
	}
	redemptions, claimed := r.mendRedemptions(t, in, entries, per, portions)
	out["claimed_portions"] = claimed

	status := in.row.text("status")
	reservation := entries[in.row.text("reservation_transaction_id")]
	paid := reservation.UserID == in.row.text("creator_id") && reservation.Amount == -total
	short := claimed != in.row.number("claimed_portions")
	next := status
	switch {
	case claimed == portions:
		next = "depleted"
	case short || (status == "active" || status == "expired") && !paid || status == "depleted":
		next = "cancelled"
	case status == "expired":
		next = "active"
	case !oneOf(status, "active", "cancelled", "refunded"):
		next = "cancelled"
	case status == "refunded" && claimed > 0:
		next = "cancelled"
	}
	out["status"] = next
	if paid && (next == "active" || next == "depleted") {
		out["reservation_transaction_id"] = reservation.ID
	}
	switch {
	case next == status:
	case status == "expired" && next == "active":
		t.mend(in.id, fmt.Sprintf("status: expired, and nothing came back of %d portions; they are given back by the expiry of this edge", portions-claimed))
	case short:
		t.mend(in.id, fmt.Sprintf("status: %s with %d portions claimed and %d redemptions, and became %s", status, in.row.number("claimed_portions"), claimed, next))
	case !paid && next == "cancelled":
		t.mend(in.id, "status: "+status+" without a reservation in the ledger, and became cancelled")
	default:
		t.mend(in.id, "status: "+status+" does not fit its portions, and became "+next)
	}
	return out, redemptions
}

// mendRedemptions are those that can stand, and how many of them are claims.
func (r *run) mendRedemptions(t *tally, in sourceRow, entries map[string]entry, per, portions int64) (list []row, claimed int64) {
	split := in.row.text("type") == "split"
	var used []int64
	winners, strangers := make(map[string]bool), make(map[string]bool)
	refuse := func(id, reason string) { t.refuse(in.id, "redemption "+id+": "+reason) }
	for _, red := range redemptionsOf(in) {
		id, user, status := red.text("id"), red.text("redeemer_user_id"), red.text("status")
		switch {
		case !r.people[user] && !r.closed[user]:
			refuse(id, "its user "+user+" was not carried over")
			continue
		case status == "success" && (winners[user] && !split || claimed == portions):
			refuse(id, "its user has claimed the gift already, or all of it is claimed")
			continue
		case status == "failed_wrong_user" && strangers[user]:
			continue // one tells as much as many
		case !oneOf(status, "success", "failed_wrong_answer", "failed_wrong_user", "failed_depleted", "failed_expired", "failed_already_claimed"):
			refuse(id, "status "+status+" is not known here")
			continue
		}
		out := red.only("id", "redeemer_user_id", "status", "source_app_id", "created_at")
		out["gift_code_id"], out["repeatable"], out["credits_received"] = in.id, split, 0
		if status == "failed_wrong_user" {
			strangers[user] = true
		}
		if status == "success" {
			winners[user] = true
			claimed++
			out["credits_received"] = per
			portion := red.number("portion_number")
			for portion < 1 || portion > portions || slices.Contains(used, portion) {
				if portion = portion%portions + 1; portion < 1 {
					portion = 1
				}
			}
			used = append(used, portion)
			out["portion_number"] = portion
			if e := entries[red.text("credit_transaction_id")]; e.UserID == user && e.Amount == per && e.Type == "gift" {
				out["credit_transaction_id"] = e.ID
			}
		}
		list = append(list, out)
	}
	return list, claimed
}
