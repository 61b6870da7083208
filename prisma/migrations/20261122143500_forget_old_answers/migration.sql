-- Stored answers are kept for 30 days. Workers end that time and see neither an answer nor a body, and no table: they say how
-- far to look and which operations still run, and get counts. Nothing younger goes, whatever they say. It removes a page in
-- order of time; what another transaction holds is left to it.
CREATE FUNCTION idempotency_forget(p_after timestamptz, p_before timestamptz, p_rows int, p_open text[])
RETURNS TABLE (seen int, removed int, upto timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
  WITH page AS (
    SELECT i.principal_id, i.route, i.key_hash, i.created_at, i.response->>'workflowId' AS workflow_id FROM idempotency i
    WHERE i.tenant_id = nullif(current_setting('app.tenant', true), '') AND i.created_at > p_after
      AND i.created_at < least(p_before, now() - interval '30 days')
    ORDER BY i.created_at LIMIT p_rows FOR UPDATE SKIP LOCKED),
  gone AS (
    DELETE FROM idempotency i USING page p
    WHERE i.tenant_id = nullif(current_setting('app.tenant', true), '') AND i.principal_id = p.principal_id
      AND i.route = p.route AND i.key_hash = p.key_hash AND (p.workflow_id = ANY (p_open)) IS NOT TRUE
    RETURNING 1)
  SELECT (SELECT count(*)::int FROM page), (SELECT count(*)::int FROM gone), (SELECT max(created_at) FROM page)
$$;
REVOKE ALL ON FUNCTION idempotency_forget(timestamptz, timestamptz, int, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idempotency_forget(timestamptz, timestamptz, int, text[]) TO anneal_worker;
