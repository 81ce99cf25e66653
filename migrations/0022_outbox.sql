-- What is to leave after the transaction of its cause: mails, calls of webhooks and of app back ends. Written with the cause,
-- delivered by any edge.

CREATE TABLE mana.outbox (
	id           text COLLATE "C" PRIMARY KEY,
	channel      text COLLATE "C" NOT NULL CHECK (channel <> ''),
	kind         text NOT NULL CHECK (kind <> ''),
	user_id      text COLLATE "C",
	body         bytea NOT NULL,
	created_at   timestamptz NOT NULL DEFAULT now(),
	due_at       timestamptz NOT NULL DEFAULT now(),
	give_up_at   timestamptz NOT NULL,
	attempts     int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	leased_until timestamptz,
	last_error   text,
	sent_at      timestamptz,
	dead_at      timestamptz,
	CHECK (sent_at IS NULL OR dead_at IS NULL),
	CHECK (sent_at IS NULL OR body = '')
);
COMMENT ON COLUMN mana.outbox.user_id IS 'whom it concerns; no foreign key, so that a receipt outlives the account';
COMMENT ON COLUMN mana.outbox.body IS 'sealed, with the id as additional data; empty once it was sent, for it may hold a token';
COMMENT ON COLUMN mana.outbox.due_at IS 'when it is tried next: while it is being delivered, when the lease of that ends';
COMMENT ON COLUMN mana.outbox.give_up_at IS 'a try that fails after this is the last';
COMMENT ON COLUMN mana.outbox.attempts IS 'tries begun; names the try, so that one that comes late changes nothing';

CREATE INDEX outbox_channel_due_at_idx ON mana.outbox (channel, due_at) WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_sent_at_idx ON mana.outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX outbox_dead_at_idx ON mana.outbox (dead_at) WHERE dead_at IS NOT NULL;

ALTER TABLE mana.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE mana.outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY outbox_system ON mana.outbox
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON mana.outbox TO mana_system;
