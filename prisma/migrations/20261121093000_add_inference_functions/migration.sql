-- The hot path of inference. Each function sets the tenant as its first act and takes one batch of one tenant, so an
-- admission and a settlement are one round trip and one commit however many requests share it.

-- Admits requests. An item whose key is known answers what was stored; an item that was resolved under a routing that
-- no longer holds is refused with nothing written, and its process resolves again. The share lock orders admissions
-- against pointer moves: after a rollback or a kill has committed, nothing commits under the old pointer. Items are
-- taken in order of their key, so that two batches with the same keys wait for each other and never deadlock.
CREATE FUNCTION inference_admit(p_tenant text, p_items jsonb)
RETURNS TABLE (ord int, verdict text, inference_id text, status int, response jsonb)
LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
  v record;
  v_old record;
  v_route record;
  v_refusal text;
  v_item jsonb;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  FOR v IN SELECT t.ordinality::int AS ord, t.item
           FROM jsonb_array_elements(p_items) WITH ORDINALITY AS t(item, ordinality)
           ORDER BY t.item->>'keyHash', t.ordinality LOOP
    v_item := v.item;
    v_refusal := NULL;
    SELECT r.min_epoch, coalesce(r.kill->'all', '[]') AS kills INTO v_route FROM routing r
    WHERE r.tenant_id = p_tenant AND r.env = v_item->>'env' AND r.kind = 'model' AND r.name = v_item->>'model' FOR SHARE;
    IF NOT FOUND OR (v_item->>'routingEpoch')::int < v_route.min_epoch
       OR v_route.kills <> v_item->'kills' THEN
      v_refusal := 'stale';
    ELSE
      INSERT INTO idempotency (tenant_id, principal_id, route, key_hash, body_hash, status, response)
      VALUES (p_tenant, v_item->>'principalId', v_item->>'route', decode(v_item->>'keyHash', 'hex'),
        decode(v_item->>'bodyHash', 'hex'), 202, v_item->'response')
      ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        v_refusal := 'known';
      END IF;
    END IF;
    IF v_refusal IS NOT NULL THEN
      SELECT i.status, i.response, i.body_hash INTO v_old FROM idempotency i
      WHERE i.tenant_id = p_tenant AND i.principal_id = v_item->>'principalId' AND i.route = v_item->>'route'
        AND i.key_hash = decode(v_item->>'keyHash', 'hex');
      IF FOUND THEN
        v_refusal := CASE WHEN v_old.body_hash = decode(v_item->>'bodyHash', 'hex') THEN 'replay' ELSE 'mismatch' END;
        RETURN QUERY SELECT v.ord, v_refusal, v_old.response->>'id', v_old.status, v_old.response;
      ELSE
        RETURN QUERY SELECT v.ord, v_refusal, NULL::text, NULL::int, NULL::jsonb;
      END IF;
      CONTINUE;
    END IF;
    INSERT INTO inference (tenant_id, inference_id, principal_id, env, model, version, arm, routing_epoch, state, purpose,
      subject_token, plan, warnings, inputs_digest, inputs, request_id, workflow_id, deadline_at)
    VALUES (p_tenant, v_item->>'inferenceId', v_item->>'principalId', v_item->>'env', v_item->>'model',
      (v_item->>'version')::int, v_item->>'arm', (v_item->>'routingEpoch')::int, 'ACCEPTED', v_item->>'purpose',
      v_item->>'subjectToken', v_item->'plan', v_item->'warnings', v_item->>'inputsDigest',
      decode(v_item->>'inputs', 'base64'), v_item->>'requestId', v_item->>'workflowId',
      now() + make_interval(secs => (v_item->>'deadlineMs')::float8 / 1000));
    INSERT INTO inference_attempt (tenant_id, inference_id, n, version, state)
    VALUES (p_tenant, v_item->>'inferenceId', 1, (v_item->>'version')::int, 'planned');
    INSERT INTO intent (tenant_id, workflow_id, workflow_type, task_queue, input, input_digest, options, due_at)
    VALUES (p_tenant, v_item->>'workflowId', v_item->'start'->>'workflowType', v_item->'start'->>'taskQueue',
      v_item->'start'->'input', v_item->>'startDigest', v_item->'start'->'options', now() + interval '2 seconds');
    RETURN QUERY SELECT v.ord, 'admitted', v_item->>'inferenceId', 202, v_item->'response';
  END LOOP;
END $$;

-- The stored answer of a key, for a request that would otherwise be refused: a replay outlives the routing it was
-- admitted under.
CREATE FUNCTION inference_stored(p_tenant text, p_principal text, p_route text, p_key bytea)
RETURNS TABLE (body_hash bytea, status int, response jsonb)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT i.body_hash, i.status, i.response FROM idempotency i
    WHERE i.tenant_id = p_tenant AND i.principal_id = p_principal AND i.route = p_route AND i.key_hash = p_key;
END $$;

-- What a version is and may do: the immutable part and, with it, the two facts that can change.
CREATE FUNCTION inference_version(p_tenant text, p_model text, p_version int)
RETURNS TABLE (assurance text, artifact_ref text, artifact_digest text, contract jsonb, contract_digest text,
  golden jsonb, lineage jsonb, purpose text, outcome jsonb)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT v.assurance, v.artifact_ref, v.artifact_digest, v.contract, v.contract_digest, v.golden, v.lineage,
      m.purpose, m.outcome
    FROM model_version v JOIN registered_model m ON m.tenant_id = v.tenant_id AND m.name = v.model
    WHERE v.tenant_id = p_tenant AND v.model = p_model AND v.version = p_version;
END $$;

-- The authority of a run: the admitted row, its attempts so far, what the routing says now, and the database's time.
CREATE FUNCTION inference_load(p_tenant text, p_inference_id text)
RETURNS TABLE (principal_id text, env text, model text, version int, arm text, routing_epoch int, state text, code text,
  purpose text, subject_token text, plan jsonb, warnings jsonb, inputs_digest text, inputs bytea, request_id text,
  workflow_id text, created_ms float8, deadline_ms float8, now_ms float8, settled boolean, attempts jsonb,
  kills jsonb, shadow jsonb, active int)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT i.principal_id, i.env, i.model, i.version, i.arm, i.routing_epoch, i.state, i.code, i.purpose,
      i.subject_token, i.plan, i.warnings, i.inputs_digest, i.inputs, i.request_id, i.workflow_id,
      (extract(epoch FROM i.created_at) * 1000)::float8, (extract(epoch FROM i.deadline_at) * 1000)::float8,
      (extract(epoch FROM clock_timestamp()) * 1000)::float8, i.settled_at IS NOT NULL,
      (SELECT coalesce(jsonb_agg(jsonb_build_object('n', a.n, 'version', a.version, 'class', a.class,
          'startedMs', (extract(epoch FROM a.started_at) * 1000)::float8, 'totalMs', a.total_ms) ORDER BY a.n), '[]')
        FROM inference_attempt a
        WHERE a.tenant_id = p_tenant AND a.inference_id = p_inference_id AND a.state = 'done'),
      coalesce(r.kill->'all', '[]'), coalesce(r.shadow, '[]'), r.active
    FROM inference i LEFT JOIN routing r
      ON r.tenant_id = i.tenant_id AND r.env = i.env AND r.kind = 'model' AND r.name = i.model
    WHERE i.tenant_id = p_tenant AND i.inference_id = p_inference_id;
END $$;

CREATE FUNCTION inference_write_attempts(p_tenant text, p_inference_id text, p_attempts jsonb) RETURNS void
LANGUAGE sql SET search_path = public AS $$
  INSERT INTO inference_attempt (tenant_id, inference_id, n, version, state, class, started_at, total_ms)
  SELECT p_tenant, p_inference_id, a.n, a.version, 'done', a.class, to_timestamp(a."startedMs" / 1000), a."totalMs"
  FROM jsonb_to_recordset(p_attempts) AS a(n int, version int, class text, "startedMs" float8, "totalMs" float8)
  ON CONFLICT (tenant_id, inference_id, n) DO UPDATE SET version = excluded.version, state = 'done',
    class = excluded.class, started_at = excluded.started_at, total_ms = excluded.total_ms
  WHERE inference_attempt.state <> 'done'
$$;

-- Keeps what a run has tried before it waits longer than a step may.
CREATE FUNCTION inference_park(p_tenant text, p_inference_id text, p_attempts jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  PERFORM inference_write_attempts(p_tenant, p_inference_id, p_attempts);
  UPDATE inference i SET state = 'WAITING'
  WHERE i.tenant_id = p_tenant AND i.inference_id = p_inference_id AND i.settled_at IS NULL;
END $$;

-- Settles runs: attempts, outcome, decision row, its audit leaf, the delivered intent, the event and the shadows to
-- start, and one notice for the whole batch. A run that is settled stays as it is: its second settlement writes nothing.
CREATE FUNCTION inference_settle(p_tenant text, p_items jsonb)
RETURNS TABLE (ord int, settled boolean, state text, code text)
LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
  v record;
  v_item jsonb;
  v_id text;
  v_state text;
  v_code text;
  v_ids text[] := '{}';
  v_shadows int := 0;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  FOR v IN SELECT t.ordinality::int AS ord, t.item
           FROM jsonb_array_elements(p_items) WITH ORDINALITY AS t(item, ordinality)
           ORDER BY t.item->>'inferenceId', t.ordinality LOOP
    v_item := v.item;
    v_id := v_item->>'inferenceId';
    UPDATE inference i SET state = v_item->>'state', code = v_item->>'code', outputs = decode(v_item->>'outputs', 'base64'),
      settled_at = clock_timestamp()
    WHERE i.tenant_id = p_tenant AND i.inference_id = v_id AND i.settled_at IS NULL;
    IF NOT FOUND THEN
      SELECT i.state, i.code INTO v_state, v_code FROM inference i
      WHERE i.tenant_id = p_tenant AND i.inference_id = v_id;
      RETURN QUERY SELECT v.ord, false, v_state, v_code;
      CONTINUE;
    END IF;
    PERFORM inference_write_attempts(p_tenant, v_id, v_item->'attempts');
    INSERT INTO decision SELECT * FROM jsonb_populate_record(NULL::decision, v_item->'decision');
    INSERT INTO audit_leaf (tenant_id, leaf_id, kind, digest)
    VALUES (p_tenant, v_id, 'decision', decode(v_item->>'rowHash', 'hex'));
    UPDATE intent i SET delivered_at = now()
    WHERE i.tenant_id = p_tenant AND i.workflow_id = v_item->>'workflowId' AND i.delivered_at IS NULL;
    INSERT INTO outbox (tenant_id, event_id, type, subject, data)
    VALUES (p_tenant, v_item->>'eventId', 'anneal.inference.settled.v1', v_id, v_item->'event');
    IF jsonb_array_length(v_item->'shadows') > 0 THEN
      INSERT INTO intent (tenant_id, workflow_id, workflow_type, task_queue, input, input_digest, options, due_at)
      SELECT p_tenant, s->>'workflowId', s->>'workflowType', s->>'taskQueue', s->'input', s->>'inputDigest',
        s->'options', now()
      FROM jsonb_array_elements(v_item->'shadows') AS s
      ON CONFLICT DO NOTHING;
      v_shadows := v_shadows + 1;
    END IF;
    v_ids := v_ids || v_id;
    RETURN QUERY SELECT v.ord, true, v_item->>'state', v_item->>'code';
  END LOOP;
  IF v_shadows > 0 THEN
    PERFORM pg_notify('intent', '');
  END IF;
  IF cardinality(v_ids) > 0 THEN
    PERFORM pg_notify('settled', json_build_object('tenant', p_tenant, 'ids', v_ids)::text);
  END IF;
END $$;

-- Inferences as their callers see them, for those who wait and those who look.
CREATE FUNCTION inference_read(p_tenant text, p_ids text[])
RETURNS TABLE (inference_id text, principal_id text, env text, workflow_id text, state text, code text, model text,
  version int, arm text, outputs bytea, warnings jsonb, created_ms float8, settled_ms float8, digest text,
  answered_by int, contract_version text, confidence float8, attempts jsonb, fallback jsonb, latency_ms float8)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT i.inference_id, i.principal_id, i.env, i.workflow_id, i.state, i.code, i.model, i.version, i.arm,
      i.outputs, coalesce(d.warnings, i.warnings), (extract(epoch FROM i.created_at) * 1000)::float8,
      (extract(epoch FROM i.settled_at) * 1000)::float8, d.digest, d.version, d.contract_version, d.confidence,
      d.attempts, d.fallback, d.latency_ms
    FROM inference i LEFT JOIN decision d ON d.tenant_id = i.tenant_id AND d.decision_id = i.inference_id
    WHERE i.tenant_id = p_tenant AND i.inference_id = ANY (p_ids);
END $$;

-- The authority of a shadow run: its own committed intent, the settled inference, and whether its shadow still collects.
CREATE FUNCTION inference_shadow_load(p_tenant text, p_workflow_id text, p_inference_id text)
RETURNS TABLE (input_digest text, model text, version int, inputs bytea, outputs bytea, champion_ms float8,
  collecting boolean, paired boolean)
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT t.input_digest, i.model, d.version, i.inputs, i.outputs,
      (SELECT a.total_ms FROM inference_attempt a WHERE a.tenant_id = p_tenant AND a.inference_id = p_inference_id
        AND a.class = 'ok' ORDER BY a.n DESC LIMIT 1),
      s.ended_at IS NULL,
      EXISTS (SELECT FROM shadow_pair p WHERE p.tenant_id = p_tenant AND p.decision_id = p_inference_id
        AND p.version = s.version)
    FROM intent t
    JOIN inference i ON i.tenant_id = p_tenant AND i.inference_id = p_inference_id
    JOIN decision d ON d.tenant_id = p_tenant AND d.decision_id = p_inference_id
    JOIN shadow s ON s.tenant_id = p_tenant AND s.shadow_id = t.input->>'shadowId'
    WHERE t.tenant_id = p_tenant AND t.workflow_id = p_workflow_id;
END $$;

-- The label of a decision that counts: reviewer before system before user, then the latest observation.
CREATE FUNCTION feedback_effective_label(p_tenant text, p_decision_id text) RETURNS text
LANGUAGE sql STABLE SET search_path = public AS $$
  SELECT f.value #>> '{}' FROM feedback f
  WHERE f.tenant_id = p_tenant AND f.decision_id = p_decision_id AND f.type = 'label'
  ORDER BY CASE f.source_kind WHEN 'reviewer' THEN 0 WHEN 'system' THEN 1 ELSE 2 END, f.observed_at DESC, f.feedback_id DESC
  LIMIT 1
$$;

-- Writes a pair once, with the label if feedback was faster.
CREATE FUNCTION inference_shadow_record(p_tenant text, p_workflow_id text, p_pair jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
  v_written boolean;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  INSERT INTO shadow_pair (tenant_id, decision_id, version, shadow_id, champion, candidate, error, label)
  VALUES (p_tenant, p_pair->>'decisionId', (p_pair->>'version')::int, p_pair->>'shadowId', p_pair->'champion',
    nullif(p_pair->'candidate', 'null'), p_pair->>'error', feedback_effective_label(p_tenant, p_pair->>'decisionId'))
  ON CONFLICT DO NOTHING;
  v_written := FOUND;
  UPDATE intent i SET delivered_at = now()
  WHERE i.tenant_id = p_tenant AND i.workflow_id = p_workflow_id AND i.delivered_at IS NULL;
  RETURN v_written;
END $$;

REVOKE ALL ON FUNCTION inference_admit(text, jsonb), inference_stored(text, text, text, bytea),
  inference_version(text, text, int), inference_load(text, text), inference_write_attempts(text, text, jsonb),
  inference_park(text, text, jsonb), inference_settle(text, jsonb), inference_read(text, text[]),
  inference_shadow_load(text, text, text), inference_shadow_record(text, text, jsonb),
  feedback_effective_label(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION inference_admit(text, jsonb), inference_stored(text, text, text, bytea),
  inference_version(text, text, int), inference_read(text, text[]), feedback_effective_label(text, text) TO anneal_api;
GRANT EXECUTE ON FUNCTION inference_version(text, text, int), inference_load(text, text),
  inference_write_attempts(text, text, jsonb), inference_park(text, text, jsonb), inference_settle(text, jsonb),
  inference_shadow_load(text, text, text), inference_shadow_record(text, text, jsonb),
  feedback_effective_label(text, text) TO anneal_worker;
