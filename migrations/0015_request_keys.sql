-- What a client's idempotency key on a metered route is good for.

ALTER TABLE credits.holds
	ADD COLUMN passes int NOT NULL DEFAULT 1 CHECK (passes >= 0),
	ADD COLUMN body   bytea;
COMMENT ON COLUMN credits.holds.passes IS 'requests under the key that run or came to something';
COMMENT ON COLUMN credits.holds.body IS 'mark of the body that the key stands for, as far as one was read; its form is the meter''s own';
