-- The relay looks for intents that nobody has delivered. They are few, whatever the number of those that are done: an
-- index over all of them would make each look slower with every inference ever made.
DROP INDEX "intent_due_at_idx";
CREATE INDEX "intent_open_idx" ON "intent"("due_at") WHERE "delivered_at" IS NULL;
