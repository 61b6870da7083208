-- The fact behind a cancellation: who asked, when, why. A run that holds one never registers a version.
ALTER TABLE "training_run" ADD COLUMN "cancel" JSONB;
