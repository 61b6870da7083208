-- Whoever looks for inferences that nothing has settled finds the oldest, however many newer ones are done. They are few: an
-- inference leaves the index when it is settled.
CREATE INDEX "inference_open_idx" ON "inference"("tenant_id", "deadline_at") WHERE "settled_at" IS NULL;
