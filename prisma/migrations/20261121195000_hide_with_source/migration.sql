-- Documents that go with their source are invisible from the moment it goes, however many they are: readers ask the source,
-- and its watcher marks the documents, page by page.
CREATE FUNCTION etl_going_sources(p_tenant text) RETURNS text[]
LANGUAGE sql STABLE SET search_path = public AS $$
  SELECT coalesce(array_agg(source_id), '{}') FROM etl_source
  WHERE tenant_id = p_tenant AND state = 'DELETING' AND delete_mode = 'delete_documents'
$$;
GRANT EXECUTE ON FUNCTION etl_going_sources(text) TO anneal_api, anneal_worker;
