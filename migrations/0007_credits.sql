-- The ledger: balances, transactions, lots, holds and usage. All amounts are thousandths of a credit.

CREATE SCHEMA credits;
GRANT USAGE ON SCHEMA credits TO mana_user, mana_system;

-- Domains, because PostgreSQL keeps their checks at hand, where it reads those of a table for every statement.
CREATE DOMAIN credits.entry_type AS text CHECK (VALUE IN ('purchase', 'usage', 'refund', 'gift', 'expiry', 'adjustment',
	'bonus', 'gift_reserve', 'gift_release', 'gift_receive'));
COMMENT ON DOMAIN credits.entry_type IS 'the last four are of imported rows';
CREATE DOMAIN credits.entry_status AS text CHECK (VALUE IN ('pending', 'completed', 'failed', 'cancelled'));
CREATE DOMAIN credits.hold_state AS text CHECK (VALUE IN ('open', 'settled', 'released', 'expired', 'late'));
CREATE DOMAIN credits.lot_source AS text CHECK (VALUE IN ('purchase', 'gift', 'subscription', 'refund', 'admin'));
CREATE DOMAIN credits.idempotency_key AS text CHECK (length(VALUE) BETWEEN 1 AND 255);
GRANT USAGE ON DOMAIN credits.entry_type, credits.entry_status, credits.hold_state, credits.lot_source, credits.idempotency_key
	TO mana_user, mana_system;

-- balance is what the ledger adds up to; held is the part of it that open holds reserve.
-- unburnt is what was spent since lots were last charged with it, see credits.burn.
CREATE TABLE credits.balances (
	user_id      text PRIMARY KEY REFERENCES auth.users,
	balance      bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
	held         bigint NOT NULL DEFAULT 0 CHECK (held >= 0 AND held <= balance),
	total_earned bigint NOT NULL DEFAULT 0,
	total_spent  bigint NOT NULL DEFAULT 0,
	unburnt      bigint NOT NULL DEFAULT 0 CHECK (unburnt >= 0),
	next_expiry  timestamptz,
	version      bigint NOT NULL DEFAULT 0,
	sequence     bigint NOT NULL DEFAULT 0,
	created_at   timestamptz NOT NULL DEFAULT now(),
	updated_at   timestamptz NOT NULL DEFAULT now(),
	CHECK (balance = total_earned - total_spent)
) WITH (fillfactor = 70); -- and no index on what a debit changes: its updates stay on their page
COMMENT ON COLUMN credits.balances.next_expiry IS 'when the next lot expires; in the past while open holds keep an expired lot alive';
ALTER TABLE credits.balances ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.balances FORCE ROW LEVEL SECURITY;
CREATE POLICY balances_system ON credits.balances
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY balances_select ON credits.balances
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.balances TO mana_system;
GRANT SELECT ON credits.balances TO mana_user;

-- A hold reserves credits until it is settled, released or expires.
CREATE TABLE credits.holds (
	id              text PRIMARY KEY,
	user_id         text NOT NULL REFERENCES credits.balances,
	amount          bigint NOT NULL CHECK (amount > 0),
	settled_amount  bigint CHECK (settled_amount BETWEEN 0 AND amount),
	state           credits.hold_state NOT NULL DEFAULT 'open',
	attempts        int NOT NULL DEFAULT 1 CHECK (attempts >= 0),
	app_id          text NOT NULL,
	operation       text NOT NULL,
	description     text NOT NULL,
	metadata        jsonb,
	idempotency_key credits.idempotency_key,
	fingerprint     bytea,
	created_at      timestamptz NOT NULL DEFAULT now(),
	expires_at      timestamptz NOT NULL,
	resolved_at     timestamptz,
	CHECK ((state = 'open') = (resolved_at IS NULL)),
	CHECK ((settled_amount IS NOT NULL) = (state IN ('settled', 'late')))
);
COMMENT ON COLUMN credits.holds.attempts IS 'requests under the same key that still run';
COMMENT ON COLUMN credits.holds.state IS 'late: settled after it had expired, with what was left';
CREATE UNIQUE INDEX holds_idempotency_key_key ON credits.holds (user_id, idempotency_key)
	WHERE idempotency_key IS NOT NULL AND state IN ('open', 'settled', 'late');
CREATE INDEX holds_user_id_idx ON credits.holds (user_id);
CREATE INDEX holds_expires_at_idx ON credits.holds (expires_at) WHERE state = 'open';
ALTER TABLE credits.holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.holds FORCE ROW LEVEL SECURITY;
CREATE POLICY holds_system ON credits.holds
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY holds_select ON credits.holds
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.holds TO mana_system;
GRANT SELECT ON credits.holds TO mana_user;

-- The ledger itself.
CREATE TABLE credits.transactions (
	id              text PRIMARY KEY,
	user_id         text NOT NULL REFERENCES credits.balances,
	sequence        bigint NOT NULL CHECK (sequence > 0),
	type            credits.entry_type NOT NULL,
	status          credits.entry_status NOT NULL DEFAULT 'completed',
	amount          bigint NOT NULL CHECK (amount <> 0),
	balance_before  bigint NOT NULL CHECK (balance_before >= 0),
	balance_after   bigint NOT NULL CHECK (balance_after >= 0),
	app_id          text NOT NULL,
	operation       text NOT NULL DEFAULT '',
	description     text NOT NULL,
	metadata        jsonb,
	idempotency_key credits.idempotency_key,
	fingerprint     bytea,
	internal_key    text,
	reverses        text REFERENCES credits.transactions,
	hold_id         text REFERENCES credits.holds,
	created_at      timestamptz NOT NULL DEFAULT now(),
	completed_at    timestamptz,
	UNIQUE (user_id, sequence),
	CHECK (balance_after = balance_before + amount)
);
COMMENT ON COLUMN credits.transactions.idempotency_key IS 'of the client; its names never meet those of internal_key';
COMMENT ON COLUMN credits.transactions.fingerprint IS 'SHA-256 of the request the key came with';
CREATE UNIQUE INDEX transactions_idempotency_key_key ON credits.transactions (user_id, idempotency_key)
	WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX transactions_internal_key_key ON credits.transactions (internal_key) WHERE internal_key IS NOT NULL;
CREATE UNIQUE INDEX transactions_hold_id_key ON credits.transactions (hold_id) WHERE hold_id IS NOT NULL;
CREATE INDEX transactions_reverses_idx ON credits.transactions (reverses) WHERE reverses IS NOT NULL;
ALTER TABLE credits.transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.transactions FORCE ROW LEVEL SECURITY;
CREATE POLICY transactions_system ON credits.transactions
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY transactions_select ON credits.transactions
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT ON credits.transactions TO mana_system;
GRANT SELECT ON credits.transactions TO mana_user;

CREATE FUNCTION credits.refuse_change() RETURNS trigger
	LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'credits.transactions is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credits.transactions
	FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_change();

-- A grant's credits and what became of them. A lot is named by the ledger row of its grant.
CREATE TABLE credits.lots (
	transaction_id text PRIMARY KEY REFERENCES credits.transactions,
	user_id        text NOT NULL REFERENCES credits.balances,
	sequence       bigint NOT NULL,
	source         credits.lot_source NOT NULL,
	promotional    boolean NOT NULL GENERATED ALWAYS AS (source NOT IN ('purchase', 'subscription')) STORED,
	priority       int NOT NULL DEFAULT 0,
	reference      text,
	granted        bigint NOT NULL CHECK (granted > 0),
	remaining      bigint NOT NULL CHECK (remaining >= 0),
	burnt          bigint NOT NULL DEFAULT 0 CHECK (burnt >= 0),
	expired        bigint NOT NULL DEFAULT 0 CHECK (expired >= 0),
	clawed_back    bigint NOT NULL DEFAULT 0 CHECK (clawed_back >= 0),
	expires_at     timestamptz,
	created_at     timestamptz NOT NULL DEFAULT now(),
	CHECK (granted = remaining + burnt + expired + clawed_back)
);
COMMENT ON COLUMN credits.lots.reference IS 'what the grant was for, such as purchase:<id>';
CREATE UNIQUE INDEX lots_reference_key ON credits.lots (user_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX lots_user_id_idx ON credits.lots (user_id);
CREATE INDEX lots_expires_at_idx ON credits.lots (expires_at) WHERE expires_at IS NOT NULL AND remaining > 0;
ALTER TABLE credits.lots ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.lots FORCE ROW LEVEL SECURITY;
CREATE POLICY lots_system ON credits.lots
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY lots_select ON credits.lots
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.lots TO mana_system;
GRANT SELECT ON credits.lots TO mana_user;

-- What was used by user, app, operation and UTC day.
CREATE TABLE credits.usage_stats (
	id               text NOT NULL DEFAULT gen_random_uuid()::text,
	user_id          text NOT NULL REFERENCES credits.balances,
	app_id           text NOT NULL,
	operation        text NOT NULL DEFAULT '',
	date             date NOT NULL,
	credits_used     bigint NOT NULL DEFAULT 0 CHECK (credits_used >= 0),
	credits_refunded bigint NOT NULL DEFAULT 0 CHECK (credits_refunded >= 0),
	requests         bigint NOT NULL DEFAULT 0 CHECK (requests >= 0),
	metadata         jsonb,
	PRIMARY KEY (user_id, app_id, operation, date)
) WITH (fillfactor = 70);
ALTER TABLE credits.usage_stats ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.usage_stats FORCE ROW LEVEL SECURITY;
CREATE POLICY usage_stats_system ON credits.usage_stats
	TO mana_system USING (current_user = 'mana_system');
CREATE POLICY usage_stats_select ON credits.usage_stats
	FOR SELECT TO mana_user
	USING (current_user = 'mana_user' AND (user_id = mana.user_id() OR mana.is_admin()));
GRANT SELECT, INSERT, UPDATE ON credits.usage_stats TO mana_system;
GRANT SELECT ON credits.usage_stats TO mana_user;

-- Every function below wants the account's row of credits.balances locked, or locks it.
-- That row is the lock of all that belongs to the account: lots, holds and ledger rows.

-- burn charges the lots with what was spent since the last time, in the order of their use: priority,
-- earliest expiry, promotional before paid, oldest. Between two events that change lots their order stands
-- still, so charging them late comes to the same as charging them at every debit.
CREATE FUNCTION credits.burn(p_user text) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	owed bigint;
BEGIN
	SELECT unburnt INTO owed FROM credits.balances WHERE user_id = p_user;
	IF owed = 0 THEN
		RETURN;
	END IF;
	UPDATE credits.lots AS l
	SET remaining = l.remaining - t.take, burnt = l.burnt + t.take
	FROM (
		SELECT o.transaction_id, least(o.remaining, owed - o.before) AS take
		FROM (
			SELECT transaction_id, remaining,
			       sum(remaining) OVER (ORDER BY priority, expires_at NULLS LAST, promotional DESC, sequence) - remaining AS before
			FROM credits.lots
			WHERE user_id = p_user AND remaining > 0
		) AS o
		WHERE o.before < owed
	) AS t
	WHERE l.transaction_id = t.transaction_id;
	UPDATE credits.balances SET unburnt = 0 WHERE user_id = p_user;
END $$;

-- expire takes what is left of lots whose time is over, a ledger row for each. As much as open holds reserve
-- stays, until they are resolved.
CREATE FUNCTION credits.expire(p_user text, p_now timestamptz) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	lot     credits.lots;
	held    bigint;
	kept    bigint;
	entry   text;
BEGIN
	PERFORM credits.burn(p_user);
	SELECT * INTO account FROM credits.balances WHERE user_id = p_user;
	held := account.held;
	FOR lot IN
		SELECT * FROM credits.lots
		WHERE user_id = p_user AND remaining > 0
		ORDER BY priority, expires_at NULLS LAST, promotional DESC, sequence
	LOOP
		kept := least(held, lot.remaining);
		held := held - kept;
		CONTINUE WHEN lot.expires_at IS NULL OR lot.expires_at > p_now OR lot.remaining = kept;
		account.sequence := account.sequence + 1;
		account.version := account.version + 1;
		INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after,
			app_id, description, metadata, created_at, completed_at)
		VALUES (gen_random_uuid()::text, p_user, account.sequence, 'expiry', kept - lot.remaining,
			account.balance, account.balance + kept - lot.remaining,
			'credits', 'Credits expired', jsonb_build_object('grantId', lot.transaction_id, 'expiresAt', lot.expires_at),
			p_now, p_now);
		account.balance := account.balance + kept - lot.remaining;
		account.total_spent := account.total_spent - kept + lot.remaining;
		UPDATE credits.lots SET remaining = kept, expired = expired + lot.remaining - kept
		WHERE transaction_id = lot.transaction_id;
	END LOOP;
	UPDATE credits.balances
	SET balance = account.balance, total_spent = account.total_spent, version = account.version,
	    sequence = account.sequence, updated_at = p_now,
	    next_expiry = (SELECT min(expires_at) FROM credits.lots WHERE user_id = p_user AND remaining > 0)
	WHERE user_id = p_user;
END $$;

-- account locks an account, expires what is due and returns its row: none where there is none.
CREATE FUNCTION credits.account(p_user text) RETURNS SETOF credits.balances
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
BEGIN
	SELECT * INTO account FROM credits.balances WHERE user_id = p_user FOR UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF account.next_expiry <= clock_timestamp() THEN
		PERFORM credits.expire(p_user, clock_timestamp());
		SELECT * INTO account FROM credits.balances WHERE user_id = p_user;
	END IF;
	RETURN NEXT account;
END $$;

-- used notes one use by a user, app and operation.
CREATE FUNCTION credits.used(p_user text, p_app text, p_operation text, p_amount bigint) RETURNS void
	LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO credits.usage_stats AS u (user_id, app_id, operation, date, credits_used, requests)
	VALUES (p_user, p_app, p_operation, (now() AT TIME ZONE 'UTC')::date, p_amount, 1)
	ON CONFLICT (user_id, app_id, operation, date) DO UPDATE
	SET credits_used = u.credits_used + excluded.credits_used, requests = u.requests + excluded.requests;
END $$;

-- debit decides and books a batch. Items of one account stand together, accounts in ascending order of their
-- bytes: every batch locks in the same order. An item that is refused leaves nothing behind. Within a batch no two
-- items of an account have the same key. What is booked goes into the tables in one statement each: a statement's
-- own cost, above all reading the CHECKs of its table, is many times that of a row.
CREATE FUNCTION credits.debit(p_users text[], p_ids text[], p_types text[], p_amounts bigint[], p_apps text[], p_operations text[],
	p_descriptions text[], p_metadata text[], p_keys text[], p_fingerprints bytea[])
	RETURNS TABLE (item int, outcome text, entry_id text, entry_sequence bigint, balance_before bigint, at timestamptz,
		balance bigint, held bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	n          CONSTANT int := cardinality(p_users);
	accounts   credits.balances[];
	account    credits.balances;
	a          int := 1;  -- the next of accounts
	known      text;
	known_mark bytea;
	charged    int[] := '{}';    -- the items to book, with
	sequences  bigint[] := '{}'; -- their numbers
	befores    bigint[] := '{}'; -- and the balances before them
BEGIN
	SELECT array_agg(l) INTO accounts FROM (
		SELECT * FROM credits.balances AS b
		WHERE b.user_id = ANY (p_users) ORDER BY b.user_id COLLATE "C" FOR UPDATE) AS l;
	at := clock_timestamp();
	FOR i IN 1 .. n LOOP
		IF i = 1 OR p_users[i] <> p_users[i - 1] THEN
			account := accounts[a];
			IF account.user_id = p_users[i] THEN
				a := a + 1;
				IF account.next_expiry <= at THEN
					PERFORM credits.expire(p_users[i], at);
					SELECT * INTO account FROM credits.balances AS b WHERE b.user_id = p_users[i];
				END IF;
			ELSE
				account := NULL;
			END IF;
		END IF;
		item := i; entry_id := NULL; entry_sequence := NULL; balance_before := NULL; known := NULL;
		IF p_keys[i] IS NOT NULL THEN
			SELECT t.id, t.fingerprint INTO known, known_mark
			FROM credits.transactions AS t
			WHERE t.user_id = p_users[i] AND t.idempotency_key = p_keys[i];
		END IF;
		IF account.user_id IS NULL THEN
			outcome := 'no_account';
		ELSIF known IS NOT NULL THEN
			outcome := CASE WHEN known_mark = p_fingerprints[i] THEN 'replayed' ELSE 'key_reused' END;
			entry_id := known;
		ELSIF account.balance - account.held < p_amounts[i] THEN
			outcome := 'insufficient';
		ELSE
			outcome := 'charged';
			account.sequence := account.sequence + 1;
			account.version := account.version + 1;
			account.updated_at := at;
			entry_id := p_ids[i]; entry_sequence := account.sequence; balance_before := account.balance;
			charged := charged || i; sequences := sequences || account.sequence; befores := befores || account.balance;
			account.balance := account.balance - p_amounts[i];
			account.total_spent := account.total_spent + p_amounts[i];
		END IF;
		balance := coalesce(account.balance, 0); held := coalesce(account.held, 0); total_earned := coalesce(account.total_earned, 0);
		total_spent := coalesce(account.total_spent, 0); version := coalesce(account.version, 0);
		created_at := coalesce(account.created_at, at); updated_at := coalesce(account.updated_at, at);
		RETURN NEXT;
	END LOOP;
	IF cardinality(charged) = 0 THEN
		RETURN;
	END IF;
	INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
		operation, description, metadata, idempotency_key, fingerprint, created_at, completed_at)
	SELECT p_ids[c.i], p_users[c.i], c.sequence, p_types[c.i], -p_amounts[c.i], c.before, c.before - p_amounts[c.i], p_apps[c.i],
	       p_operations[c.i], p_descriptions[c.i], p_metadata[c.i]::jsonb, p_keys[c.i], p_fingerprints[c.i], at, at
	FROM unnest(charged, sequences, befores) AS c (i, sequence, before);
	UPDATE credits.balances AS b
	SET balance = b.balance - c.amount, total_spent = b.total_spent + c.amount, unburnt = b.unburnt + c.amount,
	    version = b.version + c.n, sequence = b.sequence + c.n, updated_at = at
	FROM (
		SELECT p_users[i] AS user_id, sum(p_amounts[i])::bigint AS amount, count(*) AS n
		FROM unnest(charged) AS i
		GROUP BY 1
	) AS c
	WHERE b.user_id = c.user_id;
	INSERT INTO credits.usage_stats AS u (user_id, app_id, operation, date, credits_used, requests)
	SELECT p_users[i], p_apps[i], p_operations[i], (at AT TIME ZONE 'UTC')::date, sum(p_amounts[i]), count(*)
	FROM unnest(charged) AS i
	WHERE p_types[i] = 'usage'
	GROUP BY 1, 2, 3
	ON CONFLICT (user_id, app_id, operation, date) DO UPDATE
	SET credits_used = u.credits_used + excluded.credits_used, requests = u.requests + excluded.requests;
END $$;

-- hold reserves credits, or finds the hold of a key that is running or settled.
CREATE FUNCTION credits.hold(p_user text, p_id text, p_amount bigint, p_app text, p_operation text, p_description text,
	p_metadata text, p_key text, p_fingerprint bytea, p_ttl interval)
	RETURNS TABLE (outcome text, hold_id text, settled_amount bigint,
		balance bigint, held bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	known   credits.holds;
	moment  timestamptz;
BEGIN
	SELECT * INTO account FROM credits.account(p_user);
	moment := clock_timestamp();
	IF p_key IS NOT NULL THEN
		SELECT * INTO known FROM credits.holds AS h
		WHERE h.user_id = p_user AND h.idempotency_key = p_key AND h.state IN ('open', 'settled', 'late');
		IF known.state = 'open' AND known.expires_at <= moment THEN
			PERFORM credits.expire_hold(known.id, moment);
			known := NULL;
			SELECT * INTO account FROM credits.account(p_user); -- what it kept alive expires
		ELSIF known.resolved_at < moment - interval '24 hours' THEN
			UPDATE credits.holds AS h SET idempotency_key = NULL WHERE h.id = known.id; -- a retry does not come that late
			known := NULL;
		END IF;
	END IF;
	IF account.user_id IS NULL THEN
		outcome := 'no_account';
	ELSIF known.id IS NOT NULL AND known.fingerprint <> p_fingerprint THEN
		outcome := 'key_reused';
	ELSIF known.id IS NOT NULL THEN
		outcome := 'replayed'; hold_id := known.id; settled_amount := known.settled_amount;
		IF known.state = 'open' THEN
			UPDATE credits.holds AS h
			SET attempts = h.attempts + 1, expires_at = greatest(h.expires_at, moment + p_ttl)
			WHERE h.id = known.id;
		END IF;
	ELSIF account.balance - account.held < p_amount THEN
		outcome := 'insufficient';
	ELSE
		outcome := 'held'; hold_id := p_id;
		INSERT INTO credits.holds (id, user_id, amount, app_id, operation, description, metadata, idempotency_key, fingerprint, created_at, expires_at)
		VALUES (p_id, p_user, p_amount, p_app, p_operation, p_description, p_metadata::jsonb, p_key, p_fingerprint, moment, moment + p_ttl);
		UPDATE credits.balances AS b SET held = b.held + p_amount, version = b.version + 1, updated_at = moment
		WHERE b.user_id = p_user
		RETURNING b.* INTO account;
	END IF;
	balance := coalesce(account.balance, 0); held := coalesce(account.held, 0); total_earned := coalesce(account.total_earned, 0);
	total_spent := coalesce(account.total_spent, 0); version := coalesce(account.version, 0);
	created_at := coalesce(account.created_at, moment); updated_at := coalesce(account.updated_at, moment);
	RETURN NEXT;
END $$;

-- expire_hold gives back what a hold reserved whose time is over.
CREATE FUNCTION credits.expire_hold(p_hold text, p_now timestamptz) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	gone credits.holds;
BEGIN
	UPDATE credits.holds SET state = 'expired', resolved_at = p_now
	WHERE id = p_hold AND state = 'open'
	RETURNING * INTO gone;
	IF FOUND THEN
		UPDATE credits.balances SET held = held - gone.amount, version = version + 1, updated_at = p_now
		WHERE user_id = gone.user_id;
	END IF;
END $$;

-- settle charges a hold, once. A hold that was given back before is charged late, with what is available, unless
-- a newer hold of its key took its place.
CREATE FUNCTION credits.settle(p_hold text, p_entry text, p_amount bigint, p_metadata text)
	RETURNS TABLE (outcome text, user_id text, charged bigint, app_id text, operation text, description text, metadata jsonb,
		entry_id text, entry_sequence bigint, balance_before bigint, at timestamptz,
		balance bigint, held bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	h       credits.holds;
	freed   bigint := 0;
BEGIN
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT * INTO account FROM credits.account(h.user_id);
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold; -- as it is under the lock
	at := clock_timestamp();
	charged := least(p_amount, h.amount);
	metadata := h.metadata;
	IF p_metadata IS NOT NULL THEN
		metadata := coalesce(metadata, '{}') || p_metadata::jsonb;
	END IF;
	IF h.state = 'open' THEN
		outcome := 'settled'; freed := h.amount;
	ELSIF h.state IN ('settled', 'late') THEN
		outcome := 'replayed'; charged := h.settled_amount;
	ELSIF h.idempotency_key IS NOT NULL AND EXISTS (
		SELECT FROM credits.holds AS o
		WHERE o.user_id = h.user_id AND o.idempotency_key = h.idempotency_key AND o.state IN ('open', 'settled', 'late')) THEN
		outcome := 'superseded'; charged := 0;
	ELSE
		outcome := 'late';
		charged := least(charged, account.balance - account.held);
		metadata := coalesce(metadata, '{}') || jsonb_build_object('lateSettle', true, 'shortfall', trim_scale((least(p_amount, h.amount) - charged) / 1000.0));
	END IF;
	IF outcome IN ('settled', 'late') THEN
		UPDATE credits.holds AS o
		SET state = outcome, settled_amount = charged, resolved_at = at, attempts = greatest(o.attempts - 1, 0)
		WHERE o.id = p_hold;
		IF charged > 0 THEN
			entry_id := p_entry; entry_sequence := account.sequence + 1; balance_before := account.balance;
			INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
				operation, description, metadata, hold_id, created_at, completed_at)
			VALUES (p_entry, h.user_id, entry_sequence, 'usage', -charged, account.balance, account.balance - charged,
				h.app_id, h.operation, h.description, metadata, h.id, at, at);
		END IF;
		PERFORM credits.used(h.user_id, h.app_id, h.operation, charged);
		UPDATE credits.balances AS b
		SET balance = b.balance - charged, total_spent = b.total_spent + charged, unburnt = b.unburnt + charged,
		    held = b.held - freed, version = b.version + 1, sequence = b.sequence + (charged > 0)::int, updated_at = at
		WHERE b.user_id = h.user_id;
		SELECT * INTO account FROM credits.account(h.user_id);
	ELSIF outcome = 'replayed' THEN
		SELECT t.id INTO entry_id FROM credits.transactions AS t WHERE t.hold_id = p_hold;
	END IF;
	user_id := h.user_id; app_id := h.app_id; operation := h.operation; description := h.description;
	balance := account.balance; held := account.held; total_earned := account.total_earned;
	total_spent := account.total_spent; version := account.version;
	created_at := account.created_at; updated_at := account.updated_at;
	RETURN NEXT;
END $$;

-- release ends one attempt under a hold; the last one gives the credits back.
CREATE FUNCTION credits.release(p_hold text)
	RETURNS TABLE (outcome text, user_id text,
		balance bigint, held bigint, total_earned bigint, total_spent bigint, version bigint,
		created_at timestamptz, updated_at timestamptz)
	LANGUAGE plpgsql AS $$
DECLARE
	account credits.balances;
	h       credits.holds;
	moment  timestamptz;
BEGIN
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT * INTO account FROM credits.account(h.user_id);
	SELECT * INTO h FROM credits.holds AS o WHERE o.id = p_hold;
	moment := clock_timestamp();
	outcome := 'unchanged';
	IF h.state = 'open' AND h.attempts > 1 THEN
		UPDATE credits.holds AS o SET attempts = o.attempts - 1 WHERE o.id = p_hold;
		outcome := 'shared';
	ELSIF h.state = 'open' THEN
		outcome := 'released';
		UPDATE credits.holds AS o SET state = 'released', attempts = 0, resolved_at = moment WHERE o.id = p_hold;
		UPDATE credits.balances AS b SET held = b.held - h.amount, version = b.version + 1, updated_at = moment
		WHERE b.user_id = h.user_id;
		SELECT * INTO account FROM credits.account(h.user_id);
	END IF;
	user_id := h.user_id;
	balance := account.balance; held := account.held; total_earned := account.total_earned;
	total_spent := account.total_spent; version := account.version;
	created_at := account.created_at; updated_at := account.updated_at;
	RETURN NEXT;
END $$;

-- reap gives back expired holds of up to p_limit accounts that nobody else is busy with, and returns how many.
CREATE FUNCTION credits.reap(p_limit int) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	account text;
	hold    text;
	n       bigint := 0;
BEGIN
	FOR account IN
		SELECT b.user_id FROM credits.balances AS b
		WHERE b.user_id IN (
			SELECT h.user_id FROM credits.holds AS h
			WHERE h.state = 'open' AND h.expires_at <= now()
			ORDER BY h.expires_at LIMIT p_limit)
		ORDER BY b.user_id
		FOR UPDATE SKIP LOCKED
	LOOP
		FOR hold IN
			SELECT h.id FROM credits.holds AS h
			WHERE h.user_id = account AND h.state = 'open' AND h.expires_at <= now()
		LOOP
			PERFORM credits.expire_hold(hold, clock_timestamp());
			n := n + 1;
		END LOOP;
	END LOOP;
	RETURN n;
END $$;

-- expire_due expires the lots of up to p_limit accounts whose time is over, and returns how many accounts.
CREATE FUNCTION credits.expire_due(p_limit int) RETURNS bigint
	LANGUAGE plpgsql AS $$
DECLARE
	account text;
	n       bigint := 0;
BEGIN
	FOR account IN
		SELECT b.user_id FROM credits.balances AS b
		WHERE b.held = 0 AND b.next_expiry <= now() AND b.user_id IN (
			SELECT l.user_id FROM credits.lots AS l
			JOIN credits.balances AS idle USING (user_id)
			WHERE l.expires_at <= now() AND l.remaining > 0 AND idle.held = 0
			ORDER BY l.expires_at LIMIT p_limit)
		ORDER BY b.user_id
		FOR UPDATE SKIP LOCKED
	LOOP
		PERFORM credits.expire(account, clock_timestamp());
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA credits TO mana_system;
