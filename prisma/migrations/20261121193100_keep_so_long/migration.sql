-- What has been kept for its time is removed by the workers, in pages.
GRANT DELETE ON etl_change_event, etl_scan TO anneal_worker;

-- Revisions whose text is still kept though they are superseded. A live one enters it only when it is superseded.
CREATE INDEX etl_revision_superseded_idx ON etl_revision (tenant_id, superseded_at)
  WHERE superseded_at IS NOT NULL AND text_enc IS NOT NULL;

-- One scan of a source at a time, a waiting one included.
CREATE UNIQUE INDEX etl_scan_open_idx ON etl_scan (tenant_id, source_id) WHERE state IN ('RUNNING', 'WAITING');
