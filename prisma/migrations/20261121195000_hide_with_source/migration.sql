-- Documents that go with their source are invisible from the moment it goes, however many they are: readers ask the source,
-- and its watcher marks the documents, page by page.
CREATE FUNCTION etl_going_sources(p_tenant text) RETURNS text[]
LANGUAGE sql STABLE SET search_path = public AS $$
  SELECT coalesce(array_agg(source_id), '{}') FROM etl_source
  WHERE tenant_id = p_tenant AND state = 'DELETING' AND delete_mode = 'delete_documents'
$$;
GRANT EXECUTE ON FUNCTION etl_going_sources(text) TO anneal_api, anneal_worker;

-- READ of the write protocol, one statement: the hit's row is in the manifest of its generation at the live revision,
-- the document is neither hidden nor deleted, and access and purpose allow it. `ord` is the candidate's place from 1,
-- `chunk_at` the chunk's place in its revision.
CREATE OR REPLACE FUNCTION etl_read_filter(p_tenant text, p_generation text, p_rows uuid[], p_docs uuid[], p_principals text[], p_purpose text)
RETURNS TABLE (ord int, row_id uuid, doc_id uuid, rev int, chunk_at int, chunk_id uuid, start_at int, end_at int, page int,
  text_hash text, stale_since timestamptz)
LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
  going text[];
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  going := etl_going_sources(p_tenant);
  RETURN QUERY
  SELECT h.ord::int, h.row_id, h.doc_id, m.rev, place.at, l.chunk_ids[place.at], l.starts[place.at], l.ends[place.at],
    l.pages[place.at], l.text_hashes[place.at], d.stale_since
  FROM unnest(p_rows, p_docs) WITH ORDINALITY AS h(row_id, doc_id, ord)
  JOIN etl_document d ON d.tenant_id = p_tenant AND d.doc_id = h.doc_id
  JOIN etl_collection c ON c.tenant_id = p_tenant AND c.collection_id = d.collection_id
  JOIN etl_manifest m ON m.tenant_id = p_tenant AND m.generation_id = p_generation AND m.doc_id = h.doc_id AND m.rev = d.live_rev
  CROSS JOIN LATERAL (SELECT array_position(m.row_ids, h.row_id) AS at) AS place
  JOIN etl_chunk_list l ON l.tenant_id = p_tenant AND l.doc_id = h.doc_id AND l.rev = m.rev
  JOIN etl_revision r ON r.tenant_id = p_tenant AND r.doc_id = h.doc_id AND r.rev = m.rev AND r.state = 'LIVE'
  WHERE place.at IS NOT NULL AND d.hidden_reason IS NULL AND d.deleted_at IS NULL AND d.source_id <> ALL (going)
    AND d.acl && p_principals AND p_purpose = ANY (c.purposes) AND NOT p_purpose = ANY (coalesce(d.denied_purposes, '{}'))
  ORDER BY h.ord;
END $$;

-- The text of revisions, sealed. Whoever may not see the document now may not see what it said before. Heading paths come
-- where a chunk is named (`p_chunks` not 0).
CREATE OR REPLACE FUNCTION etl_read_spans(p_tenant text, p_docs uuid[], p_revs int[], p_chunks int[], p_principals text[], p_purpose text)
RETURNS TABLE (ord int, state text, current boolean, head_enc bytea, text_enc bytea, paths_enc bytea)
LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
  going text[];
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  going := etl_going_sources(p_tenant);
  RETURN QUERY
  SELECT h.ord::int, r.state, r.rev = d.live_rev, r.head_enc, r.text_enc, l.paths_enc
  FROM unnest(p_docs, p_revs, p_chunks) WITH ORDINALITY AS h(doc_id, rev, chunk_at, ord)
  JOIN etl_document d ON d.tenant_id = p_tenant AND d.doc_id = h.doc_id
  JOIN etl_collection c ON c.tenant_id = p_tenant AND c.collection_id = d.collection_id
  JOIN etl_revision r ON r.tenant_id = p_tenant AND r.doc_id = h.doc_id AND r.rev = h.rev
  LEFT JOIN etl_chunk_list l ON l.tenant_id = p_tenant AND l.doc_id = h.doc_id AND l.rev = h.rev AND h.chunk_at > 0
  WHERE r.state <> 'PREPARED' AND d.hidden_reason IS NULL AND d.deleted_at IS NULL AND d.source_id <> ALL (going)
    AND d.acl && p_principals AND p_purpose = ANY (c.purposes) AND NOT p_purpose = ANY (coalesce(d.denied_purposes, '{}'))
  ORDER BY h.ord;
END $$;
