-- What is read is a few hundred rows by their keys. A tenant that statistics do not know yet is estimated at one row in every
-- index, and then all of its documents are joined with all candidates. `OFFSET 0` has each candidate looked up by itself.
--
-- READ of the write protocol, one statement: the hit's row is in the manifest of its generation at the live revision, the
-- document is neither hidden nor deleted, and access and purpose allow it. `ord` is the candidate's place from 1, `chunk_at`
-- the chunk's place in its revision.
CREATE FUNCTION etl_read_filter(p_tenant text, p_generation text, p_rows uuid[], p_docs uuid[], p_principals text[], p_purpose text)
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
  CROSS JOIN LATERAL (SELECT v.live_rev, v.stale_since, v.collection_id FROM etl_document v
    WHERE v.tenant_id = p_tenant AND v.doc_id = h.doc_id AND v.hidden_reason IS NULL AND v.deleted_at IS NULL
      AND v.source_id <> ALL (going) AND v.acl && p_principals AND NOT p_purpose = ANY (coalesce(v.denied_purposes, '{}'))
    OFFSET 0) AS d
  CROSS JOIN LATERAL (SELECT v.rev, v.row_ids FROM etl_manifest v
    WHERE v.tenant_id = p_tenant AND v.generation_id = p_generation AND v.doc_id = h.doc_id AND v.rev = d.live_rev
    OFFSET 0) AS m
  CROSS JOIN LATERAL (SELECT array_position(m.row_ids, h.row_id) AS at) AS place
  CROSS JOIN LATERAL (SELECT v.chunk_ids, v.starts, v.ends, v.pages, v.text_hashes FROM etl_chunk_list v
    WHERE v.tenant_id = p_tenant AND v.doc_id = h.doc_id AND v.rev = m.rev OFFSET 0) AS l
  WHERE place.at IS NOT NULL
    AND EXISTS (SELECT FROM etl_revision r
      WHERE r.tenant_id = p_tenant AND r.doc_id = h.doc_id AND r.rev = m.rev AND r.state = 'LIVE' OFFSET 0)
    AND EXISTS (SELECT FROM etl_collection c
      WHERE c.tenant_id = p_tenant AND c.collection_id = d.collection_id AND p_purpose = ANY (c.purposes) OFFSET 0)
  ORDER BY h.ord;
END $$;

GRANT EXECUTE ON FUNCTION etl_read_filter(text, text, uuid[], uuid[], text[], text) TO anneal_api, anneal_worker;

-- The text of revisions, sealed. Whoever may not see the document now may not see what it said before. Heading paths come
-- where a chunk is named (`p_chunks` not 0).
CREATE FUNCTION etl_read_spans(p_tenant text, p_docs uuid[], p_revs int[], p_chunks int[], p_principals text[], p_purpose text)
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
  CROSS JOIN LATERAL (SELECT v.live_rev, v.collection_id FROM etl_document v
    WHERE v.tenant_id = p_tenant AND v.doc_id = h.doc_id AND v.hidden_reason IS NULL AND v.deleted_at IS NULL
      AND v.source_id <> ALL (going) AND v.acl && p_principals AND NOT p_purpose = ANY (coalesce(v.denied_purposes, '{}'))
    OFFSET 0) AS d
  CROSS JOIN LATERAL (SELECT v.rev, v.state, v.head_enc, v.text_enc FROM etl_revision v
    WHERE v.tenant_id = p_tenant AND v.doc_id = h.doc_id AND v.rev = h.rev AND v.state <> 'PREPARED' OFFSET 0) AS r
  LEFT JOIN LATERAL (SELECT v.paths_enc FROM etl_chunk_list v
    WHERE v.tenant_id = p_tenant AND v.doc_id = h.doc_id AND v.rev = h.rev AND h.chunk_at > 0 OFFSET 0) AS l ON true
  WHERE EXISTS (SELECT FROM etl_collection c
      WHERE c.tenant_id = p_tenant AND c.collection_id = d.collection_id AND p_purpose = ANY (c.purposes) OFFSET 0)
  ORDER BY h.ord;
END $$;
GRANT EXECUTE ON FUNCTION etl_read_spans(text, uuid[], int[], int[], text[], text) TO anneal_api, anneal_worker;
