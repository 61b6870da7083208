-- The label and the pair of one decision are written in turn: without that, a pair written while the label's transaction
-- was open kept no label for ever, because neither saw the other.
CREATE FUNCTION feedback_take_turn(p_tenant text, p_decision_id text) RETURNS void
LANGUAGE sql SET search_path = public AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('label/' || p_tenant || '/' || p_decision_id, 0))
$$;

-- The label that counts now goes to the pairs of this decision, so that a shadow is judged by it.
CREATE FUNCTION feedback_label_pairs(p_tenant text, p_decision_id text) RETURNS void
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM feedback_take_turn(p_tenant, p_decision_id);
  UPDATE shadow_pair SET label = feedback_effective_label(p_tenant, p_decision_id)
  WHERE tenant_id = p_tenant AND decision_id = p_decision_id;
END $$;

-- Writes a pair once, with the label if feedback was faster.
CREATE OR REPLACE FUNCTION inference_shadow_record(p_tenant text, p_workflow_id text, p_pair jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
  v_written boolean;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  PERFORM feedback_take_turn(p_tenant, p_pair->>'decisionId');
  INSERT INTO shadow_pair (tenant_id, decision_id, version, shadow_id, champion, candidate, error, label)
  VALUES (p_tenant, p_pair->>'decisionId', (p_pair->>'version')::int, p_pair->>'shadowId', p_pair->'champion',
    nullif(p_pair->'candidate', 'null'), p_pair->>'error', feedback_effective_label(p_tenant, p_pair->>'decisionId'))
  ON CONFLICT DO NOTHING;
  v_written := FOUND;
  UPDATE intent i SET delivered_at = now()
  WHERE i.tenant_id = p_tenant AND i.workflow_id = p_workflow_id AND i.delivered_at IS NULL;
  RETURN v_written;
END $$;

REVOKE ALL ON FUNCTION feedback_take_turn(text, text), feedback_label_pairs(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION feedback_take_turn(text, text) TO anneal_api, anneal_worker;
GRANT EXECUTE ON FUNCTION feedback_label_pairs(text, text) TO anneal_api;
