-- What guards accounts: whether one has a second factor, where every account must; invitations to make one; and the proofs of
-- work that were taken, so that each is taken once on all edges. Challenges that are only asked for leave no row.

ALTER TABLE auth.users ADD COLUMN second_factor boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN auth.users.second_factor IS 'has a confirmed authenticator or a passkey; kept by triggers';

SET LOCAL ROLE mana_system;
UPDATE auth.users AS u SET second_factor = true
WHERE EXISTS (SELECT FROM auth.two_factor_auth AS f WHERE f.user_id = u.id AND f.enabled)
   OR EXISTS (SELECT FROM auth.passkeys AS p WHERE p.user_id = u.id);
SET LOCAL ROLE mana_owner;

CREATE FUNCTION auth.note_second_factor() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
	who text := COALESCE(NEW.user_id, OLD.user_id);
	has boolean := EXISTS (SELECT FROM auth.two_factor_auth AS f WHERE f.user_id = who AND f.enabled)
		OR EXISTS (SELECT FROM auth.passkeys AS p WHERE p.user_id = who);
BEGIN
	UPDATE auth.users AS u SET second_factor = has WHERE u.id = who AND u.second_factor <> has;
	RETURN NULL;
END
$$;
CREATE TRIGGER two_factor_auth_note AFTER INSERT OR DELETE OR UPDATE OF enabled ON auth.two_factor_auth
	FOR EACH ROW EXECUTE FUNCTION auth.note_second_factor();
CREATE TRIGGER passkeys_note AFTER INSERT OR DELETE ON auth.passkeys
	FOR EACH ROW EXECUTE FUNCTION auth.note_second_factor();

-- As with a proven address: no cached session shows what was.
CREATE TRIGGER users_notify_second_factor AFTER UPDATE OF second_factor ON auth.users
	FOR EACH ROW WHEN (OLD.second_factor <> NEW.second_factor)
	EXECUTE FUNCTION auth.notify_user();

-- Who is invited has no account yet.
ALTER TABLE auth.challenges
	ALTER COLUMN user_id DROP NOT NULL,
	ADD CONSTRAINT challenges_user_id_check CHECK ((user_id IS NULL) = (purpose = 'account_invitation'));
CREATE INDEX challenges_address_idx ON auth.challenges (address, created_at) WHERE user_id IS NULL;

CREATE TABLE auth.proofs_of_work (
	digest     bytea PRIMARY KEY CHECK (length(digest) = 32),
	expires_at timestamptz NOT NULL
);
COMMENT ON COLUMN auth.proofs_of_work.digest IS 'of the challenge that was solved, or the ticket that was waited for';
COMMENT ON COLUMN auth.proofs_of_work.expires_at IS 'when it ends by itself; the row is of use until then';
CREATE INDEX proofs_of_work_expires_at_idx ON auth.proofs_of_work (expires_at);
ALTER TABLE auth.proofs_of_work ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.proofs_of_work FORCE ROW LEVEL SECURITY;
CREATE POLICY proofs_of_work_system ON auth.proofs_of_work
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.proofs_of_work TO mana_system;
