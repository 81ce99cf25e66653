-- What a month of a plan leaves for the next, and by how many a plan is paid for. Credits are thousandths of one.

ALTER TABLE subscriptions.plans
	ADD COLUMN rollover_credits bigint NOT NULL DEFAULT 0 CHECK (rollover_credits BETWEEN 0 AND 1000000000000),
	ADD COLUMN per_seat boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN subscriptions.plans.rollover_credits IS 'how much of what a month leaves lives on with the next, a seat';
COMMENT ON COLUMN subscriptions.plans.per_seat IS 'an organisation pays for each of its members, and has the credits of the plan for each';

ALTER TABLE subscriptions.subscriptions ADD COLUMN seats int NOT NULL DEFAULT 1 CHECK (seats > 0);
COMMENT ON COLUMN subscriptions.subscriptions.seats IS 'how many Stripe bills';

-- What is left of a lot at its end, up to rolls_over of all that end with it, lives on until rolls_to.
ALTER TABLE credits.lots
	ADD COLUMN rolls_over bigint CHECK (rolls_over > 0),
	ADD COLUMN rolls_to   timestamptz,
	ADD COLUMN rolled     boolean NOT NULL DEFAULT false;
ALTER TABLE credits.lots ADD CONSTRAINT lots_rolls_check
	CHECK ((rolls_over IS NULL) = (rolls_to IS NULL) AND (rolls_to IS NULL OR rolls_to > expires_at)) NOT VALID;
ALTER TABLE credits.lots VALIDATE CONSTRAINT lots_rolls_check;
COMMENT ON COLUMN credits.lots.rolled IS 'it has its end of a later lot';
