-- A document is one key of one source already: one index finds the changes of a document and keeps them unique.
CREATE UNIQUE INDEX "etl_change_event_tenant_id_doc_id_kind_source_version_key" ON "etl_change_event"("tenant_id", "doc_id", "kind", "source_version");
DROP INDEX "etl_change_event_tenant_id_source_id_key_hash_kind_source_v_key";
DROP INDEX "etl_change_event_tenant_id_doc_id_idx";

-- Few documents are claimed at a time; renewing a claim touches no index.
DROP INDEX "etl_document_tenant_id_claim_batch_idx";
DROP INDEX "etl_document_claim_idx";
CREATE INDEX etl_document_claim_idx ON etl_document (tenant_id, claim_batch) WHERE claim_batch IS NOT NULL;

-- Open intents are found by their document.
DROP INDEX "etl_intent_tenant_id_batch_id_idx";

-- Sealed bytes do not compress. Rows that change state soon after they are written find room beside them.
ALTER TABLE etl_revision ALTER COLUMN head_enc SET STORAGE EXTERNAL, ALTER COLUMN text_enc SET STORAGE EXTERNAL,
  ALTER COLUMN blocks_enc SET STORAGE EXTERNAL, SET (fillfactor = 60);
ALTER TABLE etl_chunk_list ALTER COLUMN paths_enc SET STORAGE EXTERNAL;
ALTER TABLE etl_change_event ALTER COLUMN content_enc SET STORAGE EXTERNAL, SET (fillfactor = 80);
ALTER TABLE etl_document ALTER COLUMN natural_key_enc SET STORAGE EXTERNAL, SET (fillfactor = 60);
ALTER TABLE etl_intent SET (fillfactor = 70);
ALTER TABLE etl_manifest SET (fillfactor = 80);
