package migrations_test

// giftTables is every table of 0008_gifts.sql.
var giftTables = []table{
	{name: "gifts.gift_codes", key: "id", reads: true, admin: true,
		insert: `INSERT INTO gifts.gift_codes (id, code, creator_id, total_credits, credits_per_portion, reservation_transaction_id)
			VALUES ('gift-' || $1, translate(left(upper(md5($1)), 6), '01', 'XY'), $1, 5000, 5000, 'transaction-' || $1)`},
	{name: "gifts.gift_redemptions", key: "id", reads: true, admin: true,
		insert: `INSERT INTO gifts.gift_redemptions (id, gift_code_id, redeemer_user_id, status, credits_received, portion_number)
			VALUES ('redemption-' || $1, 'gift-' || $1, $1, 'success', 5000, 1)`},
}
