-- A page with gaps is remembered; an entry knows when it was listed.
ALTER TABLE "etl_scan" ADD COLUMN     "has_gaps" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "etl_scan_entry" ADD COLUMN     "bytes" INTEGER,
ADD COLUMN     "listed_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP;

-- The same slice of a reconcile counts once.
ALTER TABLE "etl_reconcile" ADD COLUMN     "reason" TEXT,
ADD COLUMN     "slices" INTEGER[] DEFAULT ARRAY[]::INTEGER[];
