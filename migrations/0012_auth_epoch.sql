-- What a user may do has an epoch: access tokens carry the one they were
-- issued in, and a lower one than the user's is refused.

ALTER TABLE auth.users ADD COLUMN auth_epoch integer NOT NULL DEFAULT 0 CHECK (auth_epoch >= 0);
ALTER TABLE auth.revocations ADD COLUMN epoch integer;
COMMENT ON COLUMN auth.revocations.epoch IS 'of a cut-off of a whole user: the lowest epoch that is still taken';

-- Cut-offs from before count still.
SET LOCAL ROLE mana_system;
UPDATE auth.users SET auth_epoch = 1
WHERE id IN (SELECT user_id FROM auth.revocations WHERE session_id IS NULL);
UPDATE auth.revocations SET epoch = 1 WHERE session_id IS NULL;
SET LOCAL ROLE mana_owner;

-- Cutting off a whole user raises their epoch, in the same statement. Of a user
-- whose row is gone, nothing is taken any more.
CREATE FUNCTION auth.raise_epoch() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	UPDATE auth.users SET auth_epoch = auth_epoch + 1 WHERE id = NEW.user_id
	RETURNING auth_epoch INTO NEW.epoch;
	NEW.epoch := COALESCE(NEW.epoch, 2147483647);
	RETURN NEW;
END
$$;
CREATE TRIGGER revocations_raise_epoch BEFORE INSERT ON auth.revocations
	FOR EACH ROW WHEN (NEW.session_id IS NULL) EXECUTE FUNCTION auth.raise_epoch();

-- Tells every edge: {"id", "userId", "sessionId" or null, "epoch" or null, "reason", "at" in ms}.
CREATE OR REPLACE FUNCTION auth.notify_revocation() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM pg_catalog.pg_notify('mana_revocations', pg_catalog.json_build_object(
		'id', NEW.id,
		'userId', NEW.user_id,
		'sessionId', NEW.session_id,
		'epoch', NEW.epoch,
		'reason', NEW.reason,
		'at', floor(extract(epoch FROM NEW.created_at) * 1000)::bigint)::text);
	RETURN NULL;
END
$$;

-- Tells every edge whose account reads otherwise now, so that no cached session
-- shows what was.
CREATE FUNCTION auth.notify_user() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM pg_catalog.pg_notify('mana_users', NEW.id);
	RETURN NULL;
END
$$;
CREATE TRIGGER users_notify AFTER UPDATE OF name, email, email_verified, image ON auth.users
	FOR EACH ROW
	WHEN ((OLD.name, OLD.email, OLD.email_verified, OLD.image)
		IS DISTINCT FROM (NEW.name, NEW.email, NEW.email_verified, NEW.image))
	EXECUTE FUNCTION auth.notify_user();
