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

-- Replaced by 20261121220500_read_by_key, with other columns.
DROP FUNCTION etl_read_filter(text, text, uuid[], uuid[], text[], text);
