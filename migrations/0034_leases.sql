-- Leases: what an edge has reserved of an account to charge in memory (credits.lease). A lease is a hold, so that what is
-- available, the audit and the reaper know it as one; its amount is what of it is not charged yet.

ALTER TABLE credits.holds
	ADD COLUMN lease boolean NOT NULL DEFAULT false,
	ADD COLUMN recalled boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN credits.holds.lease IS 'an edge charges requests to it, each by a ledger row that names no hold';
COMMENT ON COLUMN credits.holds.recalled IS 'somebody else needs what is left of the lease: its edge gives it back';
CREATE INDEX holds_recalled_idx ON credits.holds (id) WHERE recalled;
