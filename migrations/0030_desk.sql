-- The admin's desk: a role that sees and changes nothing, events that nobody edits, and what finds users and events among many.

-- Sees what admins see. To the policies of row security it is a user like any other.
ALTER TYPE auth.user_role ADD VALUE 'support' BEFORE 'admin';

-- Both are ids to an index.
ALTER TABLE auth.security_events
	ALTER COLUMN event_type TYPE text COLLATE "C",
	ALTER COLUMN ip_address TYPE text COLLATE "C";
CREATE INDEX security_events_event_type_created_at_idx ON auth.security_events (event_type, created_at);
CREATE INDEX security_events_ip_address_created_at_idx ON auth.security_events (ip_address, created_at) WHERE ip_address IS NOT NULL;

-- An event stands as it was written. What tells who it was about is erased with their account, and all of it goes when it
-- is older than it is kept; retention is never less than the day that nothing is deleted in.
CREATE FUNCTION auth.keep_events() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	IF TG_OP = 'DELETE' AND OLD.created_at < now() - interval '1 day' THEN
		RETURN OLD;
	END IF;
	IF TG_OP = 'UPDATE' AND OLD.user_id IS NOT NULL
		AND NEW.id = OLD.id AND NEW.event_type = OLD.event_type AND NEW.created_at = OLD.created_at
		AND (NEW.user_id IS NULL OR NEW.user_id = OLD.user_id)
		AND (NEW.ip_address IS NULL OR NEW.ip_address IS NOT DISTINCT FROM OLD.ip_address)
		AND (NEW.user_agent IS NULL OR NEW.user_agent IS NOT DISTINCT FROM OLD.user_agent)
		AND (NEW.metadata IS NULL OR NEW.metadata IS NOT DISTINCT FROM OLD.metadata)
		AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id = OLD.user_id AND u.deleted_at IS NULL) THEN
		RETURN NEW;
	END IF;
	RAISE EXCEPTION 'auth.security_events is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER security_events_keep BEFORE UPDATE OR DELETE ON auth.security_events
	FOR EACH ROW EXECUTE FUNCTION auth.keep_events();
CREATE TRIGGER security_events_keep_all BEFORE TRUNCATE ON auth.security_events
	FOR EACH STATEMENT EXECUTE FUNCTION auth.keep_events();

-- The words of an address, a name and an id, by whose beginnings a user is found. A table, for under row security no index
-- serves a condition that could leak what it compares; the order of text under COLLATE "C" cannot.
CREATE FUNCTION auth.words(VARIADIC texts text[]) RETURNS SETOF text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
AS $$
	SELECT DISTINCT left(word, 64)
	FROM unnest(texts) AS t, unnest(string_to_array(translate(lower(t), '@.,;:+-_/()<>"''&', repeat(' ', 17)), ' ')) AS word
	WHERE word <> ''
$$;
GRANT EXECUTE ON FUNCTION auth.words(text[]) TO mana_user, mana_system;

CREATE TABLE auth.user_words (
	word    text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	PRIMARY KEY (word, user_id)
);
CREATE INDEX user_words_user_id_idx ON auth.user_words (user_id);
ALTER TABLE auth.user_words ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.user_words FORCE ROW LEVEL SECURITY;
CREATE POLICY user_words_system ON auth.user_words
	TO mana_system USING (current_user = 'mana_system');
-- Who changes their name writes the words of it.
CREATE POLICY user_words_own ON auth.user_words
	TO mana_user USING (current_user = 'mana_user' AND user_id = mana.user_id());
GRANT SELECT, INSERT, DELETE ON auth.user_words TO mana_user, mana_system;

CREATE FUNCTION auth.note_words() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	DELETE FROM auth.user_words WHERE user_id = NEW.id;
	IF NEW.deleted_at IS NULL THEN
		INSERT INTO auth.user_words (word, user_id)
		SELECT word, NEW.id FROM auth.words(NEW.email, NEW.name, NEW.id) AS word;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER users_note_words AFTER INSERT OR UPDATE OF email, name, deleted_at ON auth.users
	FOR EACH ROW EXECUTE FUNCTION auth.note_words();

SET LOCAL ROLE mana_system;
INSERT INTO auth.user_words (word, user_id)
SELECT word, u.id FROM auth.users AS u, auth.words(u.email, u.name, u.id) AS word
WHERE u.deleted_at IS NULL;
SET LOCAL ROLE mana_owner;

-- Lists of everybody's, the newest first.
CREATE INDEX users_created_at_idx ON auth.users (created_at, id);
CREATE INDEX organizations_created_at_idx ON auth.organizations (created_at, id);
CREATE INDEX api_keys_created_at_idx ON auth.api_keys (created_at, id);
CREATE INDEX gift_codes_created_at_idx ON gifts.gift_codes (created_at, id);
CREATE INDEX subscriptions_created_at_idx ON subscriptions.subscriptions (created_at, id);

-- Who owes. Debits change no column of it, so that their updates stay on their page.
CREATE INDEX balances_debt_idx ON credits.balances (user_id) WHERE debt > 0;

-- The ledger by the hour: rows lie in the order of their time, so that a summary of each stretch finds it, and costs a debit nothing.
CREATE INDEX transactions_created_at_idx ON credits.transactions USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);
