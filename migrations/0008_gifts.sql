-- Gifts: codes that carry credits, and who redeemed them. All amounts are thousandths of a credit.

CREATE SCHEMA gifts;
GRANT USAGE ON SCHEMA gifts TO mana_user, mana_system;

-- A code with the credits that its creator set aside for it. What nobody claimed goes back to him when the status leaves
-- active for anything but depleted.
CREATE TABLE gifts.gift_codes (
	id                         text PRIMARY KEY DEFAULT gen_random_uuid()::text,
	code                       text NOT NULL UNIQUE CHECK (code ~ '^[A-HJ-NP-Z2-9]{6}$'),
	short_url                  text,
	creator_id                 text NOT NULL REFERENCES auth.users,
	total_credits              bigint NOT NULL,
	credits_per_portion        bigint NOT NULL CHECK (credits_per_portion > 0 AND credits_per_portion <= 1000000000000),
	total_portions             int NOT NULL DEFAULT 1 CHECK (total_portions BETWEEN 1 AND 100),
	claimed_portions           int NOT NULL DEFAULT 0 CHECK (claimed_portions >= 0),
	type                       text NOT NULL DEFAULT 'simple'
		CHECK (type IN ('simple', 'personalized', 'split', 'first_come', 'riddle')),
	status                     text NOT NULL DEFAULT 'active'
		CHECK (status IN ('active', 'depleted', 'expired', 'cancelled', 'refunded')),
	target_email               text CHECK (target_email <> '' AND target_email = lower(target_email)),
	target_matrix_id           text CHECK (target_matrix_id <> ''),
	riddle_question            text,
	riddle_answer_hash         text CHECK (riddle_answer_hash IS NULL OR riddle_question IS NOT NULL),
	message                    text,
	expires_at                 timestamptz,
	reservation_transaction_id text UNIQUE REFERENCES credits.transactions,
	created_at                 timestamptz NOT NULL DEFAULT now(),
	updated_at                 timestamptz NOT NULL DEFAULT now(),
	idempotency_key            text CHECK (idempotency_key <> '' AND length(idempotency_key) <= 255),
	request_hash               bytea,
	repeatable                 boolean NOT NULL GENERATED ALWAYS AS (type = 'split') STORED,
	CHECK (total_credits = credits_per_portion * total_portions),
	CHECK (claimed_portions <= total_portions),
	CHECK ((status = 'depleted') = (claimed_portions = total_portions)),
	CHECK (status <> 'refunded' OR claimed_portions = 0),
	CHECK (status <> 'active' OR reservation_transaction_id IS NOT NULL),
	CHECK (idempotency_key IS NULL OR request_hash IS NOT NULL),
	UNIQUE (creator_id, idempotency_key),
	UNIQUE (id, repeatable)
);
COMMENT ON COLUMN gifts.gift_codes.reservation_transaction_id IS 'the charge of the creator; NULL only for what is over and came from elsewhere';
COMMENT ON COLUMN gifts.gift_codes.riddle_answer_hash IS 'bcrypt of the answer, trimmed and in lower case';
COMMENT ON COLUMN gifts.gift_codes.request_hash IS 'SHA-256 of the request the key came with, without the answer';
COMMENT ON COLUMN gifts.gift_codes.repeatable IS 'one user may claim several portions';
CREATE INDEX gift_codes_creator_id_idx ON gifts.gift_codes (creator_id, created_at DESC, id DESC);
CREATE INDEX gift_codes_expires_at_idx ON gifts.gift_codes (expires_at) WHERE status = 'active';
CREATE INDEX gift_codes_target_email_idx ON gifts.gift_codes (target_email) WHERE status = 'active';
ALTER TABLE gifts.gift_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE gifts.gift_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY gift_codes_system ON gifts.gift_codes
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY gift_codes_select ON gifts.gift_codes
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (creator_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON gifts.gift_codes TO mana_system;
-- All but what a riddle's answer or a request could be guessed from.
GRANT SELECT (id, code, short_url, creator_id, total_credits, credits_per_portion, total_portions, claimed_portions, type, status,
	target_email, target_matrix_id, riddle_question, message, expires_at, reservation_transaction_id, created_at, updated_at,
	idempotency_key, repeatable) ON gifts.gift_codes TO mana_user;

-- Who redeemed a code, and who tried: somebody it is not for, at most once, or with a wrong answer.
CREATE TABLE gifts.gift_redemptions (
	id                    text PRIMARY KEY DEFAULT gen_random_uuid()::text,
	gift_code_id          text NOT NULL,
	redeemer_user_id      text NOT NULL REFERENCES auth.users,
	status                text NOT NULL CHECK (status IN ('success', 'failed_wrong_answer', 'failed_wrong_user', 'failed_depleted',
		'failed_expired', 'failed_already_claimed')),
	credits_received      bigint NOT NULL DEFAULT 0 CHECK (credits_received >= 0),
	portion_number        int CHECK (portion_number BETWEEN 1 AND 100),
	credit_transaction_id text UNIQUE REFERENCES credits.transactions,
	source_app_id         text,
	created_at            timestamptz NOT NULL DEFAULT now(),
	idempotency_key       text CHECK (idempotency_key <> '' AND length(idempotency_key) <= 255),
	request_hash          bytea,
	repeatable            boolean NOT NULL DEFAULT false,
	FOREIGN KEY (gift_code_id, repeatable) REFERENCES gifts.gift_codes (id, repeatable) ON DELETE CASCADE,
	CHECK ((status = 'success') = (credits_received > 0)),
	CHECK ((status = 'success') = (portion_number IS NOT NULL)),
	CHECK (status = 'success' OR credit_transaction_id IS NULL),
	CHECK (idempotency_key IS NULL OR status = 'success' AND request_hash IS NOT NULL),
	UNIQUE (redeemer_user_id, idempotency_key)
);
COMMENT ON COLUMN gifts.gift_redemptions.repeatable IS 'that of the gift, for the constraint below';
COMMENT ON COLUMN gifts.gift_redemptions.request_hash IS 'SHA-256 of the request the key came with, without the answer to a riddle';
CREATE UNIQUE INDEX gift_redemptions_portion_key ON gifts.gift_redemptions (gift_code_id, portion_number) WHERE status = 'success';
CREATE UNIQUE INDEX gift_redemptions_once_key ON gifts.gift_redemptions (gift_code_id, redeemer_user_id)
	WHERE status = 'success' AND NOT repeatable;
CREATE UNIQUE INDEX gift_redemptions_stranger_key ON gifts.gift_redemptions (gift_code_id, redeemer_user_id)
	WHERE status = 'failed_wrong_user';
CREATE INDEX gift_redemptions_gift_code_id_idx ON gifts.gift_redemptions (gift_code_id, redeemer_user_id);
CREATE INDEX gift_redemptions_redeemer_user_id_idx ON gifts.gift_redemptions (redeemer_user_id, created_at DESC, id DESC);
ALTER TABLE gifts.gift_redemptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE gifts.gift_redemptions FORCE ROW LEVEL SECURITY;
CREATE POLICY gift_redemptions_system ON gifts.gift_redemptions
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY gift_redemptions_select ON gifts.gift_redemptions
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (redeemer_user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON gifts.gift_redemptions TO mana_system;
GRANT SELECT ON gifts.gift_redemptions TO mana_user;
