-- The system chain has no tenant of its own.
ALTER TABLE tenant ADD CONSTRAINT tenant_id_not_reserved CHECK (tenant_id <> 'system');

-- One round trip each: the first act of these functions is to set the tenant, and row-level security does the rest.
CREATE FUNCTION audit_record(p_tenant text, p_entry text) RETURNS bigint
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN audit_append(p_entry);
END $$;

CREATE FUNCTION audit_page(p_tenant text, p_from bigint, p_to bigint)
RETURNS TABLE (seq bigint, at_micros bigint, entry text, entry_hash bytea, prev_hash bytea, hash bytea)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT e.seq, e.at_micros, e.entry, e.entry_hash, e.prev_hash, e.hash FROM audit_entry e
    WHERE e.tenant_id = p_tenant AND e.seq BETWEEN p_from AND p_to ORDER BY e.seq;
END $$;

-- p_from NULL: the open leaves. Otherwise those sealed by the entries from p_from to p_to.
CREATE FUNCTION audit_leaves(p_tenant text, p_from bigint, p_to bigint, p_limit int)
RETURNS TABLE (leaf_id text, kind text, digest bytea, sealed_seq bigint, created_micros bigint)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  IF p_from IS NULL THEN
    RETURN QUERY SELECT l.leaf_id, l.kind, l.digest, l.sealed_seq, (extract(epoch FROM l.created_at) * 1000000)::bigint
      FROM audit_leaf l WHERE l.tenant_id = p_tenant AND l.sealed_seq IS NULL LIMIT p_limit;
  ELSE
    RETURN QUERY SELECT l.leaf_id, l.kind, l.digest, l.sealed_seq, (extract(epoch FROM l.created_at) * 1000000)::bigint
      FROM audit_leaf l WHERE l.tenant_id = p_tenant AND l.sealed_seq BETWEEN p_from AND p_to LIMIT p_limit;
  END IF;
END $$;

-- False where another sealer is at work on this tenant or has sealed one of the leaves; nothing is changed then.
CREATE FUNCTION audit_seal_leaves(p_tenant text, p_entry text, p_leaf_ids text[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  IF NOT pg_try_advisory_xact_lock(hashtextextended('audit-seal ' || p_tenant, 0)) THEN
    RETURN false;
  END IF;
  IF EXISTS (SELECT FROM audit_leaf l WHERE l.tenant_id = p_tenant AND l.leaf_id = ANY (p_leaf_ids) AND l.sealed_seq IS NOT NULL) THEN
    RETURN false;
  END IF;
  PERFORM audit_seal(p_entry, p_leaf_ids);
  RETURN true;
END $$;

-- Across tenants, for the loops that seal and witness: where chains end, and which tenants have open leaves. Numbers
-- and hashes only; no entry can be read through them.
CREATE POLICY audit_reads_heads ON audit_head FOR SELECT TO anneal_audit USING (true);
CREATE POLICY audit_reads_open_leaves ON audit_leaf FOR SELECT TO anneal_audit USING (sealed_seq IS NULL);

CREATE FUNCTION audit_heads() RETURNS TABLE (tenant_id text, seq bigint, hash bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT h.tenant_id, h.seq, h.hash FROM audit_head h ORDER BY h.tenant_id
$$;
CREATE FUNCTION audit_open_tenants() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT t FROM access_tenant_list() AS t
  WHERE EXISTS (SELECT FROM audit_leaf l WHERE l.tenant_id = t AND l.sealed_seq IS NULL)
$$;

REVOKE ALL ON FUNCTION audit_record(text, text), audit_page(text, bigint, bigint), audit_leaves(text, bigint, bigint, int),
  audit_seal_leaves(text, text, text[]), audit_heads(), audit_open_tenants() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_record(text, text), audit_page(text, bigint, bigint),
  audit_leaves(text, bigint, bigint, int), audit_heads() TO anneal_api, anneal_worker;
GRANT EXECUTE ON FUNCTION audit_seal_leaves(text, text, text[]), audit_open_tenants() TO anneal_worker;
GRANT EXECUTE ON FUNCTION access_tenant_list() TO anneal_audit;

GRANT CREATE ON SCHEMA public TO anneal_audit; -- a new owner must be able to create; taken back below
ALTER FUNCTION audit_heads() OWNER TO anneal_audit;
ALTER FUNCTION audit_open_tenants() OWNER TO anneal_audit;
REVOKE CREATE ON SCHEMA public FROM anneal_audit;
