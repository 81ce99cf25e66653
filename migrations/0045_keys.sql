-- An idempotency key is found by its index again. Row-level security keeps from an index whatever could tell of rows that
-- its policy hides, and takes coalesce for something that could, but not CASE: by the former indexes every look at one key
-- read the keys of all clients.
CREATE UNIQUE INDEX transactions_client_key_key
	ON credits.transactions ((CASE WHEN spent_by IS NULL THEN user_id ELSE spent_by END), idempotency_key)
	WHERE idempotency_key IS NOT NULL;
DROP INDEX credits.transactions_idempotency_key_key;
CREATE UNIQUE INDEX holds_client_key_key
	ON credits.holds ((CASE WHEN spent_by IS NULL THEN user_id ELSE spent_by END), idempotency_key)
	WHERE idempotency_key IS NOT NULL AND state IN ('open', 'settled', 'late');
DROP INDEX credits.holds_idempotency_key_key;
