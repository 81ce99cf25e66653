-- A card that pays for a package can be kept for the automatic top-up.

ALTER TABLE credits.purchases ADD COLUMN save_card boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN credits.purchases.save_card IS 'who bought wants the card kept that pays, see credits.top_up_settings';
