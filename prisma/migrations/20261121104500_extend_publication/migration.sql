-- A quarantined batch waits for a steward until this time, by the database's clock; a cancellation is a fact that the
-- run finds, as in training.
ALTER TABLE "publication" ADD COLUMN "quarantine_expires_at" TIMESTAMPTZ(6), ADD COLUMN "cancel" JSONB;
