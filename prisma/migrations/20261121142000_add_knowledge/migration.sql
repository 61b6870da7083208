-- AlterTable
ALTER TABLE "wake" ADD COLUMN     "start" JSONB;

-- CreateTable
CREATE TABLE "etl_collection" (
    "tenant_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "pipeline" JSONB NOT NULL,
    "live_generation_id" TEXT,
    "generation_epoch" INTEGER NOT NULL DEFAULT 0,
    "fusion" TEXT NOT NULL DEFAULT 'weighted',
    "alpha_bp" INTEGER,
    "acl_default" TEXT[],
    "purposes" TEXT[],
    "auto_flip" BOOLEAN NOT NULL DEFAULT true,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_collection_pkey" PRIMARY KEY ("tenant_id","collection_id")
);

-- CreateTable
CREATE TABLE "etl_generation" (
    "tenant_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "embedder" TEXT NOT NULL,
    "embed_spec" JSONB NOT NULL,
    "embed_fp" TEXT NOT NULL,
    "dims" INTEGER NOT NULL,
    "sink" TEXT NOT NULL,
    "lexical_sink" TEXT,
    "state" TEXT NOT NULL,
    "gate" JSONB,
    "outcome" JSONB,
    "drifted_at" TIMESTAMPTZ(6),
    "hold_until" TIMESTAMPTZ(6),
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_generation_pkey" PRIMARY KEY ("tenant_id","generation_id")
);

-- CreateTable
CREATE TABLE "etl_source" (
    "tenant_id" TEXT NOT NULL,
    "source_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "config" JSONB NOT NULL,
    "connection_id" TEXT,
    "acl" TEXT[],
    "state" TEXT NOT NULL,
    "state_reason" TEXT,
    "wake_pending" BOOLEAN NOT NULL DEFAULT false,
    "next_seq" BIGINT NOT NULL DEFAULT 1,
    "schedule_ms" INTEGER,
    "last_complete_scan_at" TIMESTAMPTZ(6),
    "delete_guard_bp" INTEGER NOT NULL DEFAULT 2000,
    "retain_raw" BOOLEAN NOT NULL,
    "erasure_mode" TEXT NOT NULL DEFAULT 'delete',
    "delete_mode" TEXT,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_source_pkey" PRIMARY KEY ("tenant_id","source_id")
);

-- CreateTable
CREATE TABLE "etl_scan" (
    "tenant_id" TEXT NOT NULL,
    "scan_id" TEXT NOT NULL,
    "source_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "cursor" JSONB,
    "complete" BOOLEAN NOT NULL DEFAULT false,
    "counts" JSONB,
    "reason" TEXT,
    "decision" JSONB,
    "expires_at" TIMESTAMPTZ(6),
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "etl_scan_pkey" PRIMARY KEY ("tenant_id","scan_id")
);

-- CreateTable
CREATE TABLE "etl_scan_entry" (
    "tenant_id" TEXT NOT NULL,
    "scan_id" TEXT NOT NULL,
    "key_hash" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "natural_key_enc" BYTEA NOT NULL,
    "token" TEXT NOT NULL,

    CONSTRAINT "etl_scan_entry_pkey" PRIMARY KEY ("tenant_id","scan_id","key_hash")
);

-- CreateTable
CREATE TABLE "etl_change_event" (
    "tenant_id" TEXT NOT NULL,
    "change_id" TEXT NOT NULL,
    "source_id" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "key_hash" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "source_version" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "content_ref" TEXT,
    "content_enc" BYTEA,
    "changed_at" TIMESTAMPTZ(6),
    "received_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "priority" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "batch_id" TEXT,
    "applied_at" TIMESTAMPTZ(6),

    CONSTRAINT "etl_change_event_pkey" PRIMARY KEY ("tenant_id","change_id")
);

-- CreateTable
CREATE TABLE "etl_document" (
    "tenant_id" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "source_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "key_hash" TEXT NOT NULL,
    "natural_key_enc" BYTEA NOT NULL,
    "live_rev" INTEGER,
    "next_rev" INTEGER NOT NULL DEFAULT 1,
    "fence" BIGINT NOT NULL DEFAULT 0,
    "claim_batch" TEXT,
    "claim_until" TIMESTAMPTZ(6),
    "lost_claims" INTEGER NOT NULL DEFAULT 0,
    "seq" BIGINT NOT NULL DEFAULT 0,
    "source_token" TEXT,
    "raw_hash" TEXT,
    "text_hash" TEXT,
    "meta_hash" TEXT,
    "acl_hash" TEXT,
    "parse_fp" TEXT,
    "chunk_fp" TEXT,
    "pipeline_fp" TEXT,
    "acl" TEXT[],
    "denied_purposes" TEXT[],
    "hidden_reason" TEXT,
    "deleted_at" TIMESTAMPTZ(6),
    "stale_since" TIMESTAMPTZ(6),
    "simhash" BIGINT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_document_pkey" PRIMARY KEY ("tenant_id","doc_id")
);

-- CreateTable
CREATE TABLE "etl_revision" (
    "tenant_id" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "rev" INTEGER NOT NULL,
    "raw_hash" TEXT NOT NULL,
    "text_hash" TEXT NOT NULL,
    "meta_hash" TEXT NOT NULL,
    "parse_fp" TEXT NOT NULL,
    "chunk_fp" TEXT NOT NULL,
    "media_type" TEXT NOT NULL,
    "head_enc" BYTEA,
    "text_enc" BYTEA,
    "blocks_enc" BYTEA,
    "raw_ref" TEXT,
    "findings" JSONB,
    "state" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "superseded_at" TIMESTAMPTZ(6),

    CONSTRAINT "etl_revision_pkey" PRIMARY KEY ("tenant_id","doc_id","rev")
);

-- CreateTable
CREATE TABLE "etl_chunk_list" (
    "tenant_id" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "rev" INTEGER NOT NULL,
    "chunk_ids" UUID[],
    "text_hashes" TEXT[],
    "starts" INTEGER[],
    "ends" INTEGER[],
    "pages" INTEGER[],
    "paths_enc" BYTEA,

    CONSTRAINT "etl_chunk_list_pkey" PRIMARY KEY ("tenant_id","doc_id","rev")
);

-- CreateTable
CREATE TABLE "etl_manifest" (
    "tenant_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "rev" INTEGER NOT NULL,
    "row_ids" UUID[],
    "acl_hash" TEXT NOT NULL,

    CONSTRAINT "etl_manifest_pkey" PRIMARY KEY ("tenant_id","generation_id","doc_id")
);

-- CreateTable
CREATE TABLE "etl_intent" (
    "tenant_id" TEXT NOT NULL,
    "intent_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "rev" INTEGER NOT NULL,
    "fence" BIGINT NOT NULL,
    "batch_id" TEXT NOT NULL,
    "row_ids" UUID[],
    "add_row_ids" UUID[],
    "delete_row_ids" UUID[],
    "state" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "done_at" TIMESTAMPTZ(6),

    CONSTRAINT "etl_intent_pkey" PRIMARY KEY ("tenant_id","intent_id")
);

-- CreateTable
CREATE TABLE "etl_shard" (
    "tenant_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "shard" INTEGER NOT NULL,
    "epoch" BIGINT NOT NULL DEFAULT 0,
    "owner" TEXT,
    "lease_until" TIMESTAMPTZ(6),

    CONSTRAINT "etl_shard_pkey" PRIMARY KEY ("tenant_id","generation_id","shard")
);

-- CreateTable
CREATE TABLE "etl_embedding_memo" (
    "tenant_id" TEXT NOT NULL,
    "embed_fp" TEXT NOT NULL,
    "text_hash" TEXT NOT NULL,
    "vector" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_embedding_memo_pkey" PRIMARY KEY ("tenant_id","embed_fp","text_hash")
);

-- CreateTable
CREATE TABLE "etl_rate_bucket" (
    "tenant_id" TEXT NOT NULL,
    "embed_fp" TEXT NOT NULL,
    "tokens" DOUBLE PRECISION NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_rate_bucket_pkey" PRIMARY KEY ("tenant_id","embed_fp")
);

-- CreateTable
CREATE TABLE "etl_canary" (
    "tenant_id" TEXT NOT NULL,
    "embed_fp" TEXT NOT NULL,
    "vectors" BYTEA NOT NULL,
    "checked_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_canary_pkey" PRIMARY KEY ("tenant_id","embed_fp")
);

-- CreateTable
CREATE TABLE "etl_quarantine_item" (
    "tenant_id" TEXT NOT NULL,
    "item_id" TEXT NOT NULL,
    "source_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "rev" INTEGER,
    "stage" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "evidence" JSONB NOT NULL,
    "state" TEXT NOT NULL,
    "decision" JSONB,
    "retry_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_quarantine_item_pkey" PRIMARY KEY ("tenant_id","item_id")
);

-- CreateTable
CREATE TABLE "etl_subject_mention" (
    "tenant_id" TEXT NOT NULL,
    "subject_hmac" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "rev" INTEGER NOT NULL,
    "declared" BOOLEAN NOT NULL,

    CONSTRAINT "etl_subject_mention_pkey" PRIMARY KEY ("tenant_id","subject_hmac","doc_id","rev")
);

-- CreateTable
CREATE TABLE "etl_suppression" (
    "tenant_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "hmac" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_suppression_pkey" PRIMARY KEY ("tenant_id","kind","hmac")
);

-- CreateTable
CREATE TABLE "etl_reconcile" (
    "tenant_id" TEXT NOT NULL,
    "reconcile_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "orphan_rows" INTEGER NOT NULL DEFAULT 0,
    "missing_rows" INTEGER NOT NULL DEFAULT 0,
    "stale_rows" INTEGER NOT NULL DEFAULT 0,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "etl_reconcile_pkey" PRIMARY KEY ("tenant_id","reconcile_id")
);

-- CreateTable
CREATE TABLE "retrieval_eval_set" (
    "tenant_id" TEXT NOT NULL,
    "eval_set_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "query_count" INTEGER NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "retrieval_eval_set_pkey" PRIMARY KEY ("tenant_id","eval_set_id")
);

-- CreateTable
CREATE TABLE "retrieval_eval_query" (
    "tenant_id" TEXT NOT NULL,
    "eval_set_id" TEXT NOT NULL,
    "query_id" TEXT NOT NULL,
    "split" TEXT NOT NULL,
    "text_enc" BYTEA NOT NULL,

    CONSTRAINT "retrieval_eval_query_pkey" PRIMARY KEY ("tenant_id","eval_set_id","query_id")
);

-- CreateTable
CREATE TABLE "retrieval_eval_judgement" (
    "tenant_id" TEXT NOT NULL,
    "eval_set_id" TEXT NOT NULL,
    "query_id" TEXT NOT NULL,
    "doc_id" UUID NOT NULL,
    "gain" INTEGER NOT NULL,

    CONSTRAINT "retrieval_eval_judgement_pkey" PRIMARY KEY ("tenant_id","eval_set_id","query_id","doc_id")
);

-- CreateTable
CREATE TABLE "retrieval_eval_run" (
    "tenant_id" TEXT NOT NULL,
    "evaluation_id" TEXT NOT NULL,
    "eval_set_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "baseline" JSONB,
    "plan" JSONB NOT NULL,
    "state" TEXT NOT NULL,
    "verdict" TEXT,
    "result" JSONB,
    "per_query" JSONB,
    "failure" JSONB,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "retrieval_eval_run_pkey" PRIMARY KEY ("tenant_id","evaluation_id")
);

-- CreateTable
CREATE TABLE "retrieval_probe" (
    "tenant_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "vectors" BYTEA NOT NULL,
    "recall_bp" INTEGER,
    "low_in_a_row" INTEGER NOT NULL DEFAULT 0,
    "probed_at" TIMESTAMPTZ(6),

    CONSTRAINT "retrieval_probe_pkey" PRIMARY KEY ("tenant_id","generation_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "etl_collection_tenant_id_name_key" ON "etl_collection"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "etl_generation_tenant_id_collection_id_generation_id_idx" ON "etl_generation"("tenant_id", "collection_id", "generation_id");

-- CreateIndex
CREATE INDEX "etl_source_tenant_id_collection_id_source_id_idx" ON "etl_source"("tenant_id", "collection_id", "source_id");

-- CreateIndex
CREATE INDEX "etl_scan_tenant_id_source_id_scan_id_idx" ON "etl_scan"("tenant_id", "source_id", "scan_id");

-- CreateIndex
CREATE INDEX "etl_change_event_tenant_id_doc_id_idx" ON "etl_change_event"("tenant_id", "doc_id");

-- CreateIndex
CREATE UNIQUE INDEX "etl_change_event_tenant_id_source_id_key_hash_kind_source_v_key" ON "etl_change_event"("tenant_id", "source_id", "key_hash", "kind", "source_version");

-- CreateIndex
CREATE INDEX "etl_document_tenant_id_collection_id_doc_id_idx" ON "etl_document"("tenant_id", "collection_id", "doc_id");

-- CreateIndex
CREATE INDEX "etl_document_tenant_id_claim_batch_idx" ON "etl_document"("tenant_id", "claim_batch");

-- CreateIndex
CREATE UNIQUE INDEX "etl_document_tenant_id_source_id_key_hash_key" ON "etl_document"("tenant_id", "source_id", "key_hash");

-- CreateIndex
CREATE INDEX "etl_manifest_tenant_id_doc_id_idx" ON "etl_manifest"("tenant_id", "doc_id");

-- CreateIndex
CREATE INDEX "etl_intent_tenant_id_batch_id_idx" ON "etl_intent"("tenant_id", "batch_id");

-- CreateIndex
CREATE INDEX "etl_quarantine_item_tenant_id_doc_id_idx" ON "etl_quarantine_item"("tenant_id", "doc_id");

-- CreateIndex
CREATE INDEX "etl_subject_mention_tenant_id_doc_id_rev_idx" ON "etl_subject_mention"("tenant_id", "doc_id", "rev");

-- CreateIndex
CREATE INDEX "etl_reconcile_tenant_id_generation_id_reconcile_id_idx" ON "etl_reconcile"("tenant_id", "generation_id", "reconcile_id");

-- CreateIndex
CREATE INDEX "retrieval_eval_set_tenant_id_collection_id_eval_set_id_idx" ON "retrieval_eval_set"("tenant_id", "collection_id", "eval_set_id");

-- CreateIndex
CREATE INDEX "retrieval_eval_run_tenant_id_collection_id_evaluation_id_idx" ON "retrieval_eval_run"("tenant_id", "collection_id", "evaluation_id");


-- What is due, claimed or in doubt, found without reading what is done.
CREATE INDEX etl_change_event_open_idx ON etl_change_event (tenant_id, source_id, priority, seq) WHERE state = 'PENDING';
CREATE INDEX etl_change_event_batch_idx ON etl_change_event (tenant_id, batch_id) WHERE state = 'CLAIMED';
CREATE INDEX etl_intent_open_idx ON etl_intent (tenant_id, doc_id, generation_id) WHERE state = 'OPEN';
CREATE INDEX etl_quarantine_item_open_idx ON etl_quarantine_item (tenant_id, collection_id, item_id) WHERE state = 'OPEN';

-- Forced row-level security by tenant, and reading for both serving roles.
DO $$
DECLARE t text;
BEGIN
  FOR t IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'public' AND c.relkind = 'r' AND (c.relname LIKE 'etl\_%' OR c.relname LIKE 'retrieval\_%') LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_isolation ON %I
      USING (tenant_id = nullif(current_setting('app.tenant', true), ''))
      WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), ''))$p$, t);
    EXECUTE format('GRANT SELECT ON %I TO anneal_api, anneal_worker', t);
  END LOOP;
END $$;

-- The API records what people and sources say; workers alone move revisions, manifests and intents.
GRANT INSERT, UPDATE ON etl_collection, etl_generation, etl_source, etl_scan, etl_change_event, etl_document,
  etl_quarantine_item, etl_reconcile, retrieval_eval_set, retrieval_eval_query, retrieval_eval_judgement,
  retrieval_eval_run, etl_suppression TO anneal_api;
GRANT INSERT, UPDATE ON etl_collection, etl_generation, etl_source, etl_scan, etl_scan_entry, etl_change_event,
  etl_document, etl_revision, etl_chunk_list, etl_manifest, etl_intent, etl_shard, etl_embedding_memo, etl_rate_bucket,
  etl_canary, etl_quarantine_item, etl_subject_mention, etl_reconcile, retrieval_eval_run, retrieval_probe
  TO anneal_worker;
GRANT DELETE ON etl_scan_entry, etl_manifest, etl_intent, etl_chunk_list, etl_embedding_memo, etl_subject_mention,
  etl_shard, retrieval_probe TO anneal_worker;
