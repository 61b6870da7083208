-- The key of a document that is known is sealed there already.
ALTER TABLE "etl_scan_entry" ALTER COLUMN "natural_key_enc" DROP NOT NULL;
