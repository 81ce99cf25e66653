-- Guests have free credits a day, which no ledger knows: nothing of them is money, and guests are strangers. What they have spent
-- is counted by day, for their device, their address and all of them. Amounts are thousandths of a credit. No table holds a
-- device or an address: both are HMACs, by keys that are derived from a secret in credits.secrets.

CREATE TABLE credits.guest_days (
	day         date NOT NULL,
	kind        text COLLATE "C" NOT NULL CHECK (kind IN ('device', 'address', 'all')),
	subject     bytea NOT NULL CHECK (octet_length(subject) = CASE kind WHEN 'all' THEN 0 ELSE 32 END),
	spent       bigint NOT NULL CHECK (spent >= 0),
	allowance   bigint CHECK (allowance > 0),
	per_address bigint CHECK (per_address > 0),
	total       bigint CHECK (total > 0),
	merged      boolean NOT NULL DEFAULT false,
	PRIMARY KEY (day, kind, subject),
	CHECK ((kind = 'device') = (allowance IS NOT NULL) AND (kind = 'device') = (per_address IS NOT NULL)),
	CHECK (kind = 'device' OR total IS NULL AND NOT merged)
);
COMMENT ON TABLE credits.guest_days IS 'what guests have spent of their free credits, kept for two days';
COMMENT ON COLUMN credits.guest_days.day IS 'in UTC';
COMMENT ON COLUMN credits.guest_days.kind IS 'device: the one behind a cookie; address: of IPv4, or a /64 of IPv6; all: every guest';
COMMENT ON COLUMN credits.guest_days.allowance IS 'of a device what it may spend, by the most generous route that it has used, and beside it what that route allows an address and all guests';
COMMENT ON COLUMN credits.guest_days.merged IS 'what was left of the device''s went to an account: it has no more on the day';
ALTER TABLE credits.guest_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.guest_days FORCE ROW LEVEL SECURITY;
CREATE POLICY guest_days_system ON credits.guest_days
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.guest_days TO mana_system;

-- What is left of a wallet when a guest signs up is promised to the new account, and given once its address is proven.
CREATE TABLE credits.guest_promises (
	wallet         bytea PRIMARY KEY CHECK (octet_length(wallet) = 32),
	user_id        text COLLATE "C" UNIQUE REFERENCES auth.users,
	state          text COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'given', 'refused', 'void')),
	amount         bigint NOT NULL CHECK (amount > 0),
	person         bytea CONSTRAINT guest_promises_person_key UNIQUE CHECK (octet_length(person) = 32),
	transaction_id text COLLATE "C" UNIQUE REFERENCES credits.transactions,
	created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
	decided_at     timestamptz,
	CHECK ((state = 'void') = (user_id IS NULL)),
	CHECK ((state IN ('waiting', 'void')) = (decided_at IS NULL)),
	CHECK ((state = 'given') = (person IS NOT NULL)),
	CHECK ((state = 'given') = (transaction_id IS NOT NULL))
);
COMMENT ON COLUMN credits.guest_promises.wallet IS 'as the device in credits.guest_days';
COMMENT ON COLUMN credits.guest_promises.state IS 'void: the sign-up made no account, for its address had one, which nobody may learn by their wallet; refused: the person behind the address was given those of another wallet';
COMMENT ON COLUMN credits.guest_promises.person IS 'as in credits.coupon_redemptions';
CREATE INDEX guest_promises_waiting_idx ON credits.guest_promises (created_at) WHERE state IN ('waiting', 'void');
ALTER TABLE credits.guest_promises ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.guest_promises FORCE ROW LEVEL SECURITY;
CREATE POLICY guest_promises_system ON credits.guest_promises
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.guest_promises TO mana_system;
