-- What INTENT knows and COMMIT needs; the two may be minutes and a crash apart.
ALTER TABLE "etl_change_event" ADD COLUMN     "bytes" INTEGER;
ALTER TABLE "etl_revision" ADD COLUMN     "acl" TEXT[],
ADD COLUMN     "acl_hash" TEXT,
ADD COLUMN     "pipeline_fp" TEXT,
ADD COLUMN     "seq" BIGINT,
ADD COLUMN     "simhash" BIGINT,
ADD COLUMN     "source_token" TEXT;

-- Claims that may have lapsed, found without reading the documents that nobody holds.
CREATE INDEX etl_document_claim_idx ON etl_document (tenant_id, source_id, claim_until) WHERE claim_batch IS NOT NULL;

-- READ of the write protocol, one statement: the hit's row is in the manifest of its generation at the live revision,
-- the document is neither hidden nor deleted, and access and purpose allow it. `ord` is the candidate's place from 1.
CREATE FUNCTION etl_read_filter(p_tenant text, p_generation text, p_rows uuid[], p_docs uuid[], p_principals text[], p_purpose text)
RETURNS TABLE (ord int, row_id uuid, doc_id uuid, rev int, chunk_at int, chunk_id uuid, start_at int, end_at int, page int,
  text_hash text, paths_enc bytea, head_enc bytea, stale_since timestamptz)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY
  SELECT h.ord::int, h.row_id, h.doc_id, m.rev, place.at, l.chunk_ids[place.at], l.starts[place.at], l.ends[place.at],
    l.pages[place.at], l.text_hashes[place.at], l.paths_enc, r.head_enc, d.stale_since
  FROM unnest(p_rows, p_docs) WITH ORDINALITY AS h(row_id, doc_id, ord)
  JOIN etl_document d ON d.tenant_id = p_tenant AND d.doc_id = h.doc_id
  JOIN etl_collection c ON c.tenant_id = p_tenant AND c.collection_id = d.collection_id
  JOIN etl_manifest m ON m.tenant_id = p_tenant AND m.generation_id = p_generation AND m.doc_id = h.doc_id AND m.rev = d.live_rev
  CROSS JOIN LATERAL (SELECT array_position(m.row_ids, h.row_id) AS at) AS place
  JOIN etl_chunk_list l ON l.tenant_id = p_tenant AND l.doc_id = h.doc_id AND l.rev = m.rev
  JOIN etl_revision r ON r.tenant_id = p_tenant AND r.doc_id = h.doc_id AND r.rev = m.rev AND r.state = 'LIVE'
  WHERE place.at IS NOT NULL AND d.hidden_reason IS NULL AND d.deleted_at IS NULL
    AND d.acl && p_principals AND p_purpose = ANY (c.purposes) AND NOT p_purpose = ANY (coalesce(d.denied_purposes, '{}'))
  ORDER BY h.ord;
END $$;
GRANT EXECUTE ON FUNCTION etl_read_filter(text, text, uuid[], uuid[], text[], text) TO anneal_api, anneal_worker;
