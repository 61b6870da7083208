-- The request that made the fact which a run is woken for: what the run does then is done for that request, and its log
-- lines and audit entries say so.
ALTER TABLE "wake" ADD COLUMN     "request_id" TEXT;
