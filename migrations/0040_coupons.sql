-- Coupons are codes that an admin makes: whoever redeems one is given promotional credits, once a person. A trial is what every
-- new account is given. Amounts are thousandths of a credit. No table holds a code or an address: where one is to be known
-- again there is its HMAC, by keys that are derived from a secret which lies here sealed.

-- Lots of both have a source of their own. Nothing that is there can break the wider rule, so nothing is read.
ALTER DOMAIN credits.lot_source DROP CONSTRAINT lot_source_check;
ALTER DOMAIN credits.lot_source ADD CONSTRAINT lot_source_check
	CHECK (VALUE IN ('purchase', 'gift', 'subscription', 'refund', 'admin', 'promotion')) NOT VALID;

CREATE TABLE credits.secrets (
	name       text COLLATE "C" PRIMARY KEY,
	sealed     text NOT NULL CHECK (sealed <> ''),
	created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE credits.secrets IS 'random secrets that outlive the encryption key, which they are sealed with';
ALTER TABLE credits.secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY secrets_system ON credits.secrets
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE ON credits.secrets TO mana_system;

CREATE TABLE credits.coupons (
	id                   text COLLATE "C" PRIMARY KEY,
	name                 text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
	code_hash            bytea NOT NULL UNIQUE CHECK (octet_length(code_hash) = 32),
	amount               bigint NOT NULL CHECK (amount > 0),
	starts_at            timestamptz NOT NULL,
	ends_at              timestamptz CHECK (ends_at > starts_at),
	credits_life_seconds bigint CHECK (credits_life_seconds > 0),
	credits_expire_at    timestamptz,
	max_redemptions      int CHECK (max_redemptions > 0),
	domain_limit         int CHECK (domain_limit > 0),
	domains              text[] NOT NULL DEFAULT '{}',
	new_within_seconds   bigint CHECK (new_within_seconds > 0),
	redeemed             int NOT NULL DEFAULT 0 CHECK (redeemed BETWEEN 0 AND coalesce(max_redemptions, redeemed)),
	ended_at             timestamptz,
	created_at           timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN credits.coupons.name IS 'what admins call it, and what stands in the ledger of who redeems it';
COMMENT ON COLUMN credits.coupons.code_hash IS 'HMAC-SHA256 of the code in capitals, without what separates its parts';
COMMENT ON COLUMN credits.coupons.credits_life_seconds IS 'how long the credits last once it was redeemed; they end at the first of this and credits_expire_at';
COMMENT ON COLUMN credits.coupons.domain_limit IS 'how many may redeem it whose addresses are of one domain, which is no public mail provider''s';
COMMENT ON COLUMN credits.coupons.domains IS 'whose addresses, or those of a domain below, alone may redeem it; empty for all';
COMMENT ON COLUMN credits.coupons.new_within_seconds IS 'how old an account may be that redeems it';
COMMENT ON COLUMN credits.coupons.ended_at IS 'when an admin ended it';
CREATE INDEX coupons_created_at_idx ON credits.coupons (created_at DESC, id DESC);
ALTER TABLE credits.coupons ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.coupons FORCE ROW LEVEL SECURITY;
CREATE POLICY coupons_system ON credits.coupons
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE ON credits.coupons TO mana_system;

CREATE TABLE credits.coupon_redemptions (
	id              text COLLATE "C" PRIMARY KEY,
	coupon_id       text COLLATE "C" NOT NULL REFERENCES credits.coupons,
	user_id         text COLLATE "C" NOT NULL REFERENCES auth.users,
	person          bytea NOT NULL CHECK (octet_length(person) = 32),
	amount          bigint NOT NULL CHECK (amount > 0),
	transaction_id  text COLLATE "C" NOT NULL UNIQUE REFERENCES credits.transactions,
	idempotency_key credits.idempotency_key COLLATE "C",
	created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT coupon_redemptions_user_key UNIQUE (coupon_id, user_id),
	CONSTRAINT coupon_redemptions_person_key UNIQUE (coupon_id, person)
);
COMMENT ON COLUMN credits.coupon_redemptions.person IS 'HMAC-SHA256 of the mailbox behind the address; it outlives the account, so that nobody redeems a coupon again under another';
CREATE INDEX coupon_redemptions_user_id_idx ON credits.coupon_redemptions (user_id, created_at DESC);
CREATE UNIQUE INDEX coupon_redemptions_idempotency_key_key ON credits.coupon_redemptions (user_id, idempotency_key)
	WHERE idempotency_key IS NOT NULL;
ALTER TABLE credits.coupon_redemptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.coupon_redemptions FORCE ROW LEVEL SECURITY;
CREATE POLICY coupon_redemptions_system ON credits.coupon_redemptions
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT ON credits.coupon_redemptions TO mana_system;

-- A trial is promised when an account is made, by the terms of then, and given once its address is proven.
CREATE TABLE credits.trials (
	user_id              text COLLATE "C" PRIMARY KEY REFERENCES auth.users,
	state                text COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'given', 'refused')),
	reason               text COLLATE "C" CHECK (reason IN ('person', 'domain')),
	amount               bigint NOT NULL CHECK (amount > 0),
	credits_life_seconds bigint CHECK (credits_life_seconds > 0),
	domain_limit         int CHECK (domain_limit > 0),
	person               bytea UNIQUE CHECK (octet_length(person) = 32),
	transaction_id       text COLLATE "C" UNIQUE REFERENCES credits.transactions,
	created_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
	decided_at           timestamptz,
	CHECK ((state = 'waiting') = (decided_at IS NULL)),
	CHECK ((state = 'refused') = (reason IS NOT NULL)),
	CHECK ((state = 'given') = (person IS NOT NULL)),
	CHECK ((state = 'given') = (transaction_id IS NOT NULL))
);
COMMENT ON COLUMN credits.trials.reason IS 'why none was given: the person had one, or the domain of the address had as many as it may have';
COMMENT ON COLUMN credits.trials.person IS 'as in credits.coupon_redemptions';
CREATE INDEX trials_waiting_idx ON credits.trials (created_at) WHERE state = 'waiting';
ALTER TABLE credits.trials ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.trials FORCE ROW LEVEL SECURITY;
CREATE POLICY trials_system ON credits.trials
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.trials TO mana_system;

-- How many of a domain redeemed a coupon, or were given a trial.
CREATE TABLE credits.coupon_domains (
	coupon_id text COLLATE "C" NOT NULL,
	domain    bytea NOT NULL CHECK (octet_length(domain) = 32),
	redeemed  int NOT NULL CHECK (redeemed > 0),
	PRIMARY KEY (coupon_id, domain)
);
COMMENT ON COLUMN credits.coupon_domains.coupon_id IS 'of credits.coupons, or the word trial';
COMMENT ON COLUMN credits.coupon_domains.domain IS 'HMAC-SHA256 of the domain that somebody registered; public mail providers are not counted';
ALTER TABLE credits.coupon_domains ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.coupon_domains FORCE ROW LEVEL SECURITY;
CREATE POLICY coupon_domains_system ON credits.coupon_domains
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE ON credits.coupon_domains TO mana_system;

CREATE FUNCTION credits.note_redemption_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event('coupon.redeemed', NEW.user_id, jsonb_build_object('userId', NEW.user_id, 'couponId', NEW.coupon_id,
		'redemptionId', NEW.id, 'transactionId', NEW.transaction_id, 'credits', mana.credits(NEW.amount)));
	RETURN NULL;
END $$;
CREATE TRIGGER coupon_redemptions_note_event AFTER INSERT ON credits.coupon_redemptions
	FOR EACH ROW EXECUTE FUNCTION credits.note_redemption_event();

CREATE FUNCTION credits.note_trial_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event('trial.granted', NEW.user_id, jsonb_build_object('userId', NEW.user_id,
		'transactionId', NEW.transaction_id, 'credits', mana.credits(NEW.amount)));
	RETURN NULL;
END $$;
CREATE TRIGGER trials_note_event AFTER UPDATE OF state ON credits.trials
	FOR EACH ROW WHEN (NEW.state = 'given' AND OLD.state <> 'given') EXECUTE FUNCTION credits.note_trial_event();
REVOKE EXECUTE ON FUNCTION credits.note_redemption_event(), credits.note_trial_event() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.note_redemption_event(), credits.note_trial_event() TO mana_system;
