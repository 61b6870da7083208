-- A search asks three things, each in one round trip: where to look and how far that is behind; which candidates the
-- reader may see; and, of the few that are shown, their text. Sealed values travel for those few alone.

-- When the oldest change that is not applied came in. Changes of one source and priority are numbered as they come in:
-- the first of each is the oldest.
CREATE FUNCTION etl_oldest_change(p_tenant text, p_source text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = public AS $$
  SELECT least(min(waiting.received_at), (
    SELECT min(v.received_at) FROM etl_change_event v
    WHERE v.tenant_id = p_tenant AND v.source_id = p_source AND v.state = 'CLAIMED'))
  FROM generate_series(1, 5) AS p(priority) CROSS JOIN LATERAL (
    SELECT v.received_at FROM etl_change_event v
    WHERE v.tenant_id = p_tenant AND v.source_id = p_source AND v.priority = p.priority AND v.state = 'PENDING'
    ORDER BY v.seq LIMIT 1) AS waiting;
$$;
GRANT EXECUTE ON FUNCTION etl_oldest_change(text, text) TO anneal_api, anneal_worker;

CREATE FUNCTION etl_searched(p_tenant text, p_collection text)
RETURNS TABLE (purposes text[], fusion text, alpha_bp int, pipeline jsonb, oldest_ms bigint, scanned timestamptz,
  generation_id text, embedder text, embed_spec jsonb, embed_fp text, dims int, sink text, state text, drifted boolean)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  -- The collection is as old as its oldest source: one that was never listed whole says nothing of completeness.
  RETURN QUERY
  SELECT c.purposes, c.fusion, c.alpha_bp, c.pipeline, behind.oldest_ms, behind.scanned,
    g.generation_id, g.embedder, g.embed_spec, g.embed_fp, g.dims, g.sink, g.state, g.drifted_at IS NOT NULL
  FROM etl_collection c
  LEFT JOIN etl_generation g ON g.tenant_id = p_tenant AND g.generation_id = c.live_generation_id
  CROSS JOIN LATERAL (
    SELECT greatest(0, coalesce(extract(epoch FROM now() - min(etl_oldest_change(p_tenant, s.source_id))) * 1000, 0))::bigint
        AS oldest_ms,
      CASE WHEN bool_and(s.last_complete_scan_at IS NOT NULL) FILTER (WHERE s.kind = 'folder')
        THEN min(s.last_complete_scan_at) FILTER (WHERE s.kind = 'folder') END AS scanned
    FROM etl_source s
    WHERE s.tenant_id = p_tenant AND s.collection_id = p_collection AND s.state <> 'DELETED') AS behind
  WHERE c.tenant_id = p_tenant AND c.collection_id = p_collection;
END $$;
GRANT EXECUTE ON FUNCTION etl_searched(text, text) TO anneal_api, anneal_worker;

DROP FUNCTION etl_read_filter(text, text, uuid[], uuid[], text[], text);
-- READ of the write protocol, one statement: the hit's row is in the manifest of its generation at the live revision,
-- the document is neither hidden nor deleted, and access and purpose allow it. `ord` is the candidate's place from 1,
-- `chunk_at` the chunk's place in its revision.
CREATE FUNCTION etl_read_filter(p_tenant text, p_generation text, p_rows uuid[], p_docs uuid[], p_principals text[], p_purpose text)
RETURNS TABLE (ord int, row_id uuid, doc_id uuid, rev int, chunk_at int, chunk_id uuid, start_at int, end_at int, page int,
  text_hash text, stale_since timestamptz)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
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
  WHERE place.at IS NOT NULL AND d.hidden_reason IS NULL AND d.deleted_at IS NULL
    AND d.acl && p_principals AND p_purpose = ANY (c.purposes) AND NOT p_purpose = ANY (coalesce(d.denied_purposes, '{}'))
  ORDER BY h.ord;
END $$;
GRANT EXECUTE ON FUNCTION etl_read_filter(text, text, uuid[], uuid[], text[], text) TO anneal_api, anneal_worker;

-- The text of revisions, sealed. Whoever may not see the document now may not see what it said before. Heading paths come
-- where a chunk is named (`p_chunks` not 0).
CREATE FUNCTION etl_read_spans(p_tenant text, p_docs uuid[], p_revs int[], p_chunks int[], p_principals text[], p_purpose text)
RETURNS TABLE (ord int, state text, current boolean, head_enc bytea, text_enc bytea, paths_enc bytea)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY
  SELECT h.ord::int, r.state, r.rev = d.live_rev, r.head_enc, r.text_enc, l.paths_enc
  FROM unnest(p_docs, p_revs, p_chunks) WITH ORDINALITY AS h(doc_id, rev, chunk_at, ord)
  JOIN etl_document d ON d.tenant_id = p_tenant AND d.doc_id = h.doc_id
  JOIN etl_collection c ON c.tenant_id = p_tenant AND c.collection_id = d.collection_id
  JOIN etl_revision r ON r.tenant_id = p_tenant AND r.doc_id = h.doc_id AND r.rev = h.rev
  LEFT JOIN etl_chunk_list l ON l.tenant_id = p_tenant AND l.doc_id = h.doc_id AND l.rev = h.rev AND h.chunk_at > 0
  WHERE r.state <> 'PREPARED' AND d.hidden_reason IS NULL AND d.deleted_at IS NULL
    AND d.acl && p_principals AND p_purpose = ANY (c.purposes) AND NOT p_purpose = ANY (coalesce(d.denied_purposes, '{}'))
  ORDER BY h.ord;
END $$;
GRANT EXECUTE ON FUNCTION etl_read_spans(text, uuid[], int[], int[], text[], text) TO anneal_api, anneal_worker;
