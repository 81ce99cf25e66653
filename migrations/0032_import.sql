-- What was imported from the replaced service: a digest of each row as it was there, and of what was made of it
-- here. By the first an import knows what it has carried over, by the second what was changed here since.

CREATE TABLE mana.imported (
	kind    text COLLATE "C" NOT NULL,
	id      text COLLATE "C" NOT NULL,
	source  text NOT NULL,
	written text NOT NULL,
	PRIMARY KEY (kind, id)
);
COMMENT ON COLUMN mana.imported.kind IS 'the table';
COMMENT ON COLUMN mana.imported.written IS 'what stood here afterwards; where something else stands now, it was changed here';
ALTER TABLE mana.imported ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.imported FORCE ROW LEVEL SECURITY;
CREATE POLICY imported_system ON mana.imported
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON mana.imported TO mana_system;
