-- Forced row-level security by tenant on every table. The nullif matters: after a transaction-local set the value
-- falls back to '', not NULL, and '' must match no row.
DO $$
DECLARE t text;
BEGIN
  FOR t IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> '_prisma_migrations' LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant_isolation ON %I
      USING (tenant_id = nullif(current_setting('app.tenant', true), ''))
      WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), ''))$p$, t);
    EXECUTE format('GRANT SELECT ON %I TO anneal_api', t);
    IF t NOT IN ('api_key', 'idempotency') THEN
      EXECUTE format('GRANT SELECT ON %I TO anneal_worker', t);
    END IF;
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA public TO anneal_api, anneal_worker, anneal_relay, anneal_audit;

-- What the API writes: requests, decisions of people, admissions.
GRANT INSERT ON tenant, principal, api_key, idempotency, intent, wake, outbox, dataset, dataset_contract, publication,
  training_run, registered_model, model_version, deployment, evaluation_policy, evaluation, approval, approval_decision,
  routing, routing_history, release, release_step, release_command, shadow, serving_lease, kill_switch, inference,
  inference_attempt, decision, feedback, lineage_edge, audit_leaf TO anneal_api;
GRANT UPDATE ON principal, api_key, idempotency, intent, dataset, publication, training_run, registered_model,
  model_version, deployment, evaluation, approval, routing, release, release_command, shadow, shadow_pair, serving_lease,
  kill_switch, inference, inference_attempt TO anneal_api;
GRANT DELETE ON serving_lease TO anneal_api;

-- What workers write: the results of runs. Never a key, a principal, a policy or a person's decision.
GRANT INSERT ON intent, wake, outbox, publication_reject, snapshot, snapshot_subject, lineage_edge, training_checkpoint,
  training_metric, training_log, model_version, deployment, approval_nonce, routing, routing_history, release_step,
  shadow, shadow_pair, serving_lease, inference_attempt, decision, audit_leaf TO anneal_worker;
GRANT UPDATE ON intent, wake, dataset, publication, snapshot, training_run, registered_model, model_version, deployment,
  evaluation, approval, routing, release, release_command, shadow, shadow_pair, serving_lease, inference,
  inference_attempt TO anneal_worker;
GRANT DELETE ON serving_lease, training_checkpoint, snapshot_subject TO anneal_worker;

-- The relay sees every tenant, but only what has to be started, woken or sent.
GRANT SELECT, UPDATE (claimed_at, delivered_at) ON intent, wake, outbox TO anneal_relay;
CREATE POLICY relay_reads_all ON intent TO anneal_relay USING (true) WITH CHECK (true);
CREATE POLICY relay_reads_all ON wake TO anneal_relay USING (true) WITH CHECK (true);
CREATE POLICY relay_reads_all ON outbox TO anneal_relay USING (true) WITH CHECK (true);

-- Look-ups that come before a tenant is known. The owner may read these three tables; the functions give out one row
-- of a key, or names of tenants, and nothing else.
CREATE POLICY owner_reads_all ON api_key FOR SELECT TO anneal_owner USING (true);
CREATE POLICY owner_reads_all ON principal FOR SELECT TO anneal_owner USING (true);
CREATE POLICY owner_reads_all ON tenant FOR SELECT TO anneal_owner USING (true);

CREATE FUNCTION access_key_find(p_key_id text)
RETURNS TABLE (tenant_id text, key_id text, principal_id text, env text, secret_hmac bytea, pepper_version int,
  scopes text[], expires_at timestamptz, revoked_at timestamptz, kind text, name text, roles text[], disabled_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT k.tenant_id, k.key_id, k.principal_id, k.env, k.secret_hmac, k.pepper_version, k.scopes, k.expires_at,
    k.revoked_at, p.kind, p.name, p.roles, p.disabled_at
  FROM api_key k JOIN principal p USING (tenant_id, principal_id) WHERE k.key_id = p_key_id
$$;
CREATE FUNCTION access_tenant_list() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$ SELECT tenant_id FROM tenant ORDER BY tenant_id $$;
REVOKE ALL ON FUNCTION access_key_find(text), access_tenant_list() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access_key_find(text) TO anneal_api;
GRANT EXECUTE ON FUNCTION access_tenant_list() TO anneal_api, anneal_worker, anneal_relay;

-- Rows that say what happened are only ever added.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['audit_entry', 'decision', 'routing_history', 'approval_decision', 'approval_nonce',
                           'dataset_contract', 'evaluation_policy', 'release_step', 'feedback'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', t);
    EXECUTE format('CREATE TRIGGER never_emptied BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', t);
  END LOOP;
END $$;

-- A leaf may be sealed once; nothing else of it ever changes.
CREATE FUNCTION refuse_leaf_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.sealed_seq IS NULL AND NEW.sealed_seq IS NOT NULL
     AND (NEW.tenant_id, NEW.leaf_id, NEW.kind, NEW.digest, NEW.created_at)
       = (OLD.tenant_id, OLD.leaf_id, OLD.kind, OLD.digest, OLD.created_at) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'audit_leaf is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_leaf FOR EACH ROW EXECUTE FUNCTION refuse_leaf_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit_leaf FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- hash = SHA-256(prev || seq as int8 || at in microseconds as int8 || SHA-256(entry)); it locks the head of the chain,
-- so it is the last statement before commit.
CREATE FUNCTION audit_append(p_entry text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
  v_tenant text := nullif(current_setting('app.tenant', true), '');
  v_prev bytea;
  v_seq bigint;
  v_at bigint;
  v_entry_hash bytea := sha256(convert_to(p_entry, 'UTF8'));
  v_hash bytea;
BEGIN
  IF v_tenant IS NULL THEN
    RAISE EXCEPTION 'audit_append: no tenant is set';
  END IF;
  INSERT INTO audit_head (tenant_id, seq, hash)
  VALUES (v_tenant, 0, sha256(convert_to('anneal.audit.genesis.v1', 'UTF8') || '\x00'::bytea || convert_to(v_tenant, 'UTF8')))
  ON CONFLICT DO NOTHING;
  SELECT h.seq + 1, h.hash INTO v_seq, v_prev FROM audit_head h WHERE h.tenant_id = v_tenant FOR UPDATE;
  v_at := floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  v_hash := sha256(v_prev || int8send(v_seq) || int8send(v_at) || v_entry_hash);
  INSERT INTO audit_entry (tenant_id, seq, at_micros, entry, entry_hash, prev_hash, hash)
  VALUES (v_tenant, v_seq, v_at, p_entry, v_entry_hash, v_prev, v_hash);
  UPDATE audit_head SET seq = v_seq, hash = v_hash WHERE tenant_id = v_tenant;
  RETURN v_seq;
END $$;

-- Seals leaves into the chain: one entry with their Merkle root, and its sequence on each of them.
CREATE FUNCTION audit_seal(p_entry text, p_leaf_ids text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
  v_seq bigint;
  v_count int;
BEGIN
  v_seq := audit_append(p_entry);
  UPDATE audit_leaf SET sealed_seq = v_seq
  WHERE tenant_id = nullif(current_setting('app.tenant', true), '') AND leaf_id = ANY (p_leaf_ids) AND sealed_seq IS NULL;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count <> cardinality(p_leaf_ids) THEN
    RAISE EXCEPTION 'audit_seal: % of % leaves were open', v_count, cardinality(p_leaf_ids);
  END IF;
  RETURN v_seq;
END $$;
REVOKE ALL ON FUNCTION audit_append(text), audit_seal(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_append(text) TO anneal_api, anneal_worker;
GRANT EXECUTE ON FUNCTION audit_seal(text, text[]) TO anneal_worker;

GRANT SELECT, INSERT, UPDATE ON audit_entry, audit_head, audit_leaf TO anneal_audit;
GRANT CREATE ON SCHEMA public TO anneal_audit; -- a new owner must be able to create; taken back below
ALTER FUNCTION audit_append(text) OWNER TO anneal_audit;
ALTER FUNCTION audit_seal(text, text[]) OWNER TO anneal_audit;
REVOKE CREATE ON SCHEMA public FROM anneal_audit;
