-- A release lets the very bytes through that the gate stopped.
ALTER TABLE "etl_quarantine_item" ADD COLUMN     "raw_hash" TEXT;

-- What a store does not hold of a manifest, and how old its copies of access and metadata are.
ALTER TABLE "etl_manifest" ADD COLUMN     "is_behind" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "meta_hash" TEXT,
ADD COLUMN     "unindexed_row_ids" UUID[] DEFAULT ARRAY[]::UUID[];
CREATE INDEX etl_manifest_behind_idx ON etl_manifest (tenant_id, generation_id, doc_id) WHERE is_behind;

-- CreateTable
CREATE TABLE "etl_simhash_band" (
    "tenant_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "band" INTEGER NOT NULL,
    "doc_id" UUID NOT NULL,
    "simhash" BIGINT NOT NULL,

    CONSTRAINT "etl_simhash_band_pkey" PRIMARY KEY ("tenant_id","collection_id","band","doc_id")
);

ALTER TABLE etl_simhash_band ENABLE ROW LEVEL SECURITY;
ALTER TABLE etl_simhash_band FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON etl_simhash_band
  USING (tenant_id = nullif(current_setting('app.tenant', true), ''))
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), ''));
GRANT SELECT ON etl_simhash_band TO anneal_api, anneal_worker;
GRANT INSERT, DELETE ON etl_simhash_band TO anneal_worker;
