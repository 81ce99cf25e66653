-- Where credits came from, and what is owed for those whose money went back. All amounts are thousandths of a credit.

ALTER TABLE credits.balances ADD COLUMN debt bigint NOT NULL DEFAULT 0 CHECK (debt >= 0);
COMMENT ON COLUMN credits.balances.debt IS 'what is owed for credits whose money went back; what comes in pays it first';

-- A lot is no longer named by its ledger row: one row may make several.
ALTER TABLE credits.lots
	ADD COLUMN id        text COLLATE "C" NOT NULL DEFAULT gen_random_uuid()::text,
	ADD COLUMN given     bigint NOT NULL DEFAULT 0 CHECK (given >= 0),
	ADD COLUMN parent    text COLLATE "C",
	ADD COLUMN prolonged boolean NOT NULL DEFAULT false;
ALTER TABLE credits.lots DROP CONSTRAINT lots_pkey;
ALTER TABLE credits.lots ADD PRIMARY KEY (id), ADD FOREIGN KEY (parent) REFERENCES credits.lots;
ALTER TABLE credits.lots DROP CONSTRAINT lots_check;
ALTER TABLE credits.lots ADD CONSTRAINT lots_check CHECK (granted = remaining + burnt + given + expired + clawed_back);
COMMENT ON COLUMN credits.lots.given IS 'what gifts took from it and did not bring back';
COMMENT ON COLUMN credits.lots.parent IS 'the lot its credits came from: a giver''s, or the one whose time was over when they came back';
COMMENT ON COLUMN credits.lots.prolonged IS 'it had 72 hours after the end of its parent, which nothing has twice';
CREATE INDEX lots_transaction_id_idx ON credits.lots (transaction_id);
CREATE INDEX lots_parent_idx ON credits.lots (parent) WHERE parent IS NOT NULL;

-- Which lots paid for what was spent: a row a lot and burning.
CREATE TABLE credits.burns (
	user_id text COLLATE "C" NOT NULL REFERENCES credits.balances,
	through bigint NOT NULL,
	first   bigint NOT NULL CHECK (first >= 0),
	lot_id  text COLLATE "C" NOT NULL REFERENCES credits.lots,
	amount  bigint NOT NULL CHECK (amount > 0),
	PRIMARY KEY (user_id, through, first)
);
COMMENT ON COLUMN credits.burns.through IS 'the last ledger row it charged lots for; it began after that of the one before';
COMMENT ON COLUMN credits.burns.first IS 'what other lots paid before, in the order of burning';
CREATE INDEX burns_lot_id_idx ON credits.burns (lot_id);
ALTER TABLE credits.burns ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.burns FORCE ROW LEVEL SECURITY;
CREATE POLICY burns_system ON credits.burns
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT ON credits.burns TO mana_system;

-- What lots gave to a gift, and what became of it.
CREATE TABLE credits.draws (
	transaction_id text COLLATE "C" NOT NULL REFERENCES credits.transactions,
	position       int NOT NULL,
	user_id        text COLLATE "C" NOT NULL REFERENCES credits.balances,
	lot_id         text COLLATE "C" NOT NULL REFERENCES credits.lots,
	amount         bigint NOT NULL CHECK (amount > 0),
	passed_on      bigint NOT NULL DEFAULT 0 CHECK (passed_on >= 0),
	returned       bigint NOT NULL DEFAULT 0 CHECK (returned >= 0),
	PRIMARY KEY (transaction_id, position),
	CHECK (passed_on + returned <= amount)
);
COMMENT ON COLUMN credits.draws.transaction_id IS 'the reservation of the gift';
COMMENT ON COLUMN credits.draws.passed_on IS 'redeemed; each part is a lot of the redeemer whose parent is lot_id';
CREATE INDEX draws_lot_id_idx ON credits.draws (lot_id);
CREATE INDEX draws_user_id_idx ON credits.draws (user_id);
ALTER TABLE credits.draws ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.draws FORCE ROW LEVEL SECURITY;
CREATE POLICY draws_system ON credits.draws
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE ON credits.draws TO mana_system;

-- What is owed, and what became of it. It is append-only, and adds up to credits.balances.debt.
CREATE TABLE credits.debts (
	id             text COLLATE "C" PRIMARY KEY DEFAULT gen_random_uuid()::text,
	user_id        text COLLATE "C" NOT NULL REFERENCES credits.balances,
	reference      text COLLATE "C" NOT NULL,
	kind           text NOT NULL CHECK (kind IN ('incurred', 'paid', 'forgiven', 'reinstated')),
	amount         bigint NOT NULL CHECK (amount <> 0 AND (amount > 0) = (kind = 'incurred')),
	spares_bought  boolean NOT NULL DEFAULT false,
	transaction_id text COLLATE "C" REFERENCES credits.transactions,
	reason         text,
	forgiven_by    text,
	created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
	CHECK ((kind = 'paid') = (transaction_id IS NOT NULL)),
	CHECK ((kind = 'forgiven') = (reason IS NOT NULL AND forgiven_by IS NOT NULL))
);
COMMENT ON COLUMN credits.debts.reference IS 'the grant whose money went back';
COMMENT ON COLUMN credits.debts.spares_bought IS 'it is not paid with credits that were bought before';
COMMENT ON COLUMN credits.debts.transaction_id IS 'the ledger row that paid';
CREATE INDEX debts_user_id_idx ON credits.debts (user_id, created_at);
CREATE INDEX debts_transaction_id_idx ON credits.debts (transaction_id);
ALTER TABLE credits.debts ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.debts FORCE ROW LEVEL SECURITY;
CREATE POLICY debts_system ON credits.debts
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY debts_select ON credits.debts
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT ON credits.debts TO mana_system;
GRANT SELECT ON credits.debts TO mana_user;

CREATE FUNCTION credits.refuse_debt_change() RETURNS trigger
	LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'credits.debts is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER debts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credits.debts
	FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_debt_change();
REVOKE EXECUTE ON FUNCTION credits.refuse_debt_change() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.refuse_debt_change() TO mana_system;

-- What was taken back of a grant whose money went back: from whom, and from which lot.
CREATE TABLE credits.clawbacks (
	id           text COLLATE "C" PRIMARY KEY DEFAULT gen_random_uuid()::text,
	user_id      text COLLATE "C" NOT NULL REFERENCES credits.balances,
	reference    text COLLATE "C" NOT NULL,
	internal_key text COLLATE "C" NOT NULL,
	kind         text NOT NULL CHECK (kind IN ('lot', 'others', 'owed')),
	holder_id    text COLLATE "C" NOT NULL REFERENCES credits.balances,
	lot_id       text COLLATE "C" REFERENCES credits.lots,
	amount       bigint NOT NULL CHECK (amount > 0),
	returned     bigint NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND amount),
	created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN credits.clawbacks.kind IS 'lot: what was left of it; others: the holder''s other credits; owed: a debt of the holder''s';
COMMENT ON COLUMN credits.clawbacks.holder_id IS 'who had the credits: the buyer, or who redeemed a gift of them';
CREATE INDEX clawbacks_user_id_idx ON credits.clawbacks (user_id, reference);
CREATE INDEX clawbacks_internal_key_idx ON credits.clawbacks (internal_key);
CREATE INDEX clawbacks_lot_id_idx ON credits.clawbacks (lot_id);
CREATE INDEX clawbacks_holder_id_idx ON credits.clawbacks (holder_id);
ALTER TABLE credits.clawbacks ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.clawbacks FORCE ROW LEVEL SECURITY;
CREATE POLICY clawbacks_system ON credits.clawbacks
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE ON credits.clawbacks TO mana_system;
