-- A delivery names its source and nobody's tenant: the look-up before its signature is checked. The only column it gives
-- away is the tenant, and only to the API.
CREATE POLICY owner_reads_all ON etl_source FOR SELECT TO anneal_owner USING (kind = 'webhook');
CREATE FUNCTION etl_hook_tenant(p_source_id text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT tenant_id FROM etl_source
  WHERE source_id = p_source_id AND kind = 'webhook' AND state NOT IN ('DELETING', 'DELETED')
$$;
CREATE INDEX etl_source_hook_idx ON etl_source (source_id) WHERE kind = 'webhook';
REVOKE ALL ON FUNCTION etl_hook_tenant(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION etl_hook_tenant(text) TO anneal_api;
