-- What `etl_read_spans` lets this reader read, with the places of all chunks of the revision: the section around a hit is
-- chosen from them. The filter is that of every other span.
CREATE FUNCTION etl_read_sections(p_tenant text, p_docs uuid[], p_revs int[], p_chunks int[], p_principals text[], p_purpose text)
RETURNS TABLE (ord int, state text, current boolean, head_enc bytea, text_enc bytea, paths_enc bytea, starts int[], ends int[],
  pages int[])
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY
  SELECT s.ord, s.state, s.current, s.head_enc, s.text_enc, s.paths_enc, l.starts, l.ends, l.pages
  FROM etl_read_spans(p_tenant, p_docs, p_revs, p_chunks, p_principals, p_purpose) s
  LEFT JOIN LATERAL (SELECT v.starts, v.ends, v.pages FROM etl_chunk_list v
    WHERE v.tenant_id = p_tenant AND v.doc_id = p_docs[s.ord] AND v.rev = p_revs[s.ord] OFFSET 0) AS l ON true
  ORDER BY s.ord;
END $$;
GRANT EXECUTE ON FUNCTION etl_read_sections(text, uuid[], int[], int[], text[], text) TO anneal_api, anneal_worker;
