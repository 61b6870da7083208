-- Groups a principal belongs to: what access lists of documents name.
ALTER TABLE "principal" ADD COLUMN "groups" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[];

DROP FUNCTION access_key_find(text);
CREATE FUNCTION access_key_find(p_key_id text)
RETURNS TABLE (tenant_id text, key_id text, principal_id text, env text, secret_hmac bytea, pepper_version int,
  scopes text[], expires_at timestamptz, revoked_at timestamptz, kind text, name text, roles text[], groups text[],
  disabled_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT k.tenant_id, k.key_id, k.principal_id, k.env, k.secret_hmac, k.pepper_version, k.scopes, k.expires_at,
    k.revoked_at, p.kind, p.name, p.roles, p.groups, p.disabled_at
  FROM api_key k JOIN principal p USING (tenant_id, principal_id) WHERE k.key_id = p_key_id
$$;
REVOKE ALL ON FUNCTION access_key_find(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access_key_find(text) TO anneal_api;
