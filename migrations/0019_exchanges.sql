-- One session for each app, by its origin, that a browser session was exchanged for: an exchange that is repeated adds a
-- refresh family to it, and no device.

ALTER TABLE auth.sessions ADD COLUMN origin text COLLATE "C";
GRANT SELECT (origin) ON auth.sessions TO mana_user;
CREATE UNIQUE INDEX sessions_parent_id_origin_key ON auth.sessions (parent_id, origin)
	WHERE revoked_at IS NULL AND origin IS NOT NULL;

ALTER TABLE auth.refresh_families DROP CONSTRAINT refresh_families_session_id_key;
CREATE INDEX refresh_families_session_id_idx ON auth.refresh_families (session_id);
