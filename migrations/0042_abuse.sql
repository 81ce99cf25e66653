-- Abuse of credits: what an hourly survey found of each account, whether its gifting is held, and which accounts bought with
-- which card.

CREATE TABLE credits.abuse_scores (
	user_id        text COLLATE "C" PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
	score          int NOT NULL DEFAULT 0 CHECK (score BETWEEN 0 AND 200),
	signals        jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(signals) = 'array'),
	scored_at      timestamptz NOT NULL DEFAULT now(),
	held_at        timestamptz,
	held_by        text COLLATE "C",
	hold_reason    text,
	released_at    timestamptz,
	released_by    text COLLATE "C",
	release_reason text,
	released_score int CHECK (released_score BETWEEN 0 AND 200),
	CHECK ((held_at IS NULL) = (held_by IS NULL) AND (held_at IS NULL) = (hold_reason IS NULL)),
	CHECK ((released_at IS NULL) = (released_by IS NULL) AND (released_at IS NULL) = (release_reason IS NULL)
		AND (released_at IS NULL) = (released_score IS NULL)),
	CHECK (held_at IS NULL OR released_at IS NULL)
);
COMMENT ON COLUMN credits.abuse_scores.signals IS 'kind, points and what they rest on, of each';
COMMENT ON COLUMN credits.abuse_scores.held_at IS 'since when the account makes no gifts; NULL where it does';
COMMENT ON COLUMN credits.abuse_scores.held_by IS 'the operator, such as admin:<id>, or edge for the score alone';
COMMENT ON COLUMN credits.abuse_scores.released_score IS 'what the score was when an operator released the hold: only a higher one holds again';
CREATE INDEX abuse_scores_score_idx ON credits.abuse_scores (score DESC, user_id DESC);
CREATE INDEX abuse_scores_held_idx ON credits.abuse_scores (held_at) WHERE held_at IS NOT NULL;
ALTER TABLE credits.abuse_scores ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.abuse_scores FORCE ROW LEVEL SECURITY;
CREATE POLICY abuse_scores_system ON credits.abuse_scores
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.abuse_scores TO mana_system;

CREATE TABLE credits.cards (
	fingerprint   text COLLATE "C" NOT NULL CHECK (fingerprint <> ''),
	user_id       text COLLATE "C" NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	first_seen_at timestamptz NOT NULL,
	last_seen_at  timestamptz NOT NULL,
	PRIMARY KEY (fingerprint, user_id)
);
COMMENT ON TABLE credits.cards IS 'which accounts of users bought credits with which card; nothing of the card is known but that it is the same one';
COMMENT ON COLUMN credits.cards.fingerprint IS 'by which Stripe knows a card again, whoever pays with it';
CREATE INDEX cards_user_id_idx ON credits.cards (user_id);
CREATE INDEX cards_last_seen_at_idx ON credits.cards (last_seen_at);
ALTER TABLE credits.cards ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.cards FORCE ROW LEVEL SECURITY;
CREATE POLICY cards_system ON credits.cards
	TO mana_system USING (current_user = 'mana_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON credits.cards TO mana_system;

-- What the survey looks at, by time.
CREATE INDEX purchases_reversed_idx ON credits.purchases (updated_at) WHERE reversed_credits > 0;
CREATE INDEX gift_redemptions_redeemed_idx ON gifts.gift_redemptions (created_at) WHERE status = 'success';

CREATE FUNCTION credits.note_abuse_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event(CASE WHEN NEW.held_at IS NULL THEN 'gifting.released' ELSE 'gifting.held' END, NEW.user_id,
		jsonb_build_object('userId', NEW.user_id, 'score', NEW.score,
			'by', CASE WHEN NEW.held_at IS NULL THEN coalesce(NEW.released_by, 'edge') ELSE NEW.held_by END));
	RETURN NULL;
END $$;
CREATE TRIGGER abuse_scores_note_hold AFTER INSERT ON credits.abuse_scores
	FOR EACH ROW WHEN (NEW.held_at IS NOT NULL) EXECUTE FUNCTION credits.note_abuse_event();
CREATE TRIGGER abuse_scores_note_change AFTER UPDATE OF held_at ON credits.abuse_scores
	FOR EACH ROW WHEN ((NEW.held_at IS NULL) <> (OLD.held_at IS NULL)) EXECUTE FUNCTION credits.note_abuse_event();
REVOKE EXECUTE ON FUNCTION credits.note_abuse_event() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.note_abuse_event() TO mana_system;
