-- A card that pays for a package can be kept for the automatic top-up.

ALTER TABLE credits.purchases ADD COLUMN save_card boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN credits.purchases.save_card IS 'who bought wants the card kept that pays, see credits.top_up_settings';

-- What a guest had left is told of as trials are.
CREATE FUNCTION credits.note_guest_event() RETURNS trigger
	LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	PERFORM mana.note_event('guest.granted', NEW.user_id, jsonb_build_object('userId', NEW.user_id,
		'transactionId', NEW.transaction_id, 'credits', mana.credits(NEW.amount)));
	RETURN NULL;
END $$;
CREATE TRIGGER guest_promises_note_event AFTER UPDATE OF state ON credits.guest_promises
	FOR EACH ROW WHEN (NEW.state = 'given' AND OLD.state <> 'given') EXECUTE FUNCTION credits.note_guest_event();
REVOKE EXECUTE ON FUNCTION credits.note_guest_event() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credits.note_guest_event() TO mana_system;

-- Alerts are listed and counted by kind.
CREATE INDEX alerts_kind_idx ON credits.alerts (kind, created_at DESC, id DESC);
