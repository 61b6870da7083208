-- A release is a sequence of steps: `seq` fences every move, so that a repeated or late activity changes nothing.
ALTER TABLE "release" ADD COLUMN "seq" INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN "progress" JSONB NOT NULL DEFAULT '{}',
  ADD COLUMN "queued_behind" TEXT;
ALTER TABLE "release_command" ADD COLUMN "outcome" TEXT;
ALTER TABLE "kill_switch" ADD COLUMN "targets" JSONB NOT NULL DEFAULT '[]';

-- One running release per target; one more may wait for it to roll back (supersede).
DROP INDEX "release_running_key";
CREATE UNIQUE INDEX "release_running_key" ON "release"("tenant_id", "env", "kind", "name")
  WHERE "ended_at" IS NULL AND "queued_behind" IS NULL;
CREATE UNIQUE INDEX "release_queued_key" ON "release"("tenant_id", "env", "kind", "name")
  WHERE "ended_at" IS NULL AND "queued_behind" IS NOT NULL;
CREATE INDEX "routing_history_tenant_id_release_id_idx" ON "routing_history"("tenant_id", "release_id");

-- One round trip of a serving process: it reports what it holds and reads what it has to hold. Targets without a
-- routing row are those of a first release, whose candidate has to be loaded before any weight moves.
CREATE FUNCTION serving_follow(p_tenant text, p_process text, p_role text, p_held jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = public AS $$
DECLARE v_targets jsonb;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  IF p_held IS NOT NULL THEN
    INSERT INTO serving_lease AS l (tenant_id, env, kind, name, process_id, role, epoch, ready, failures, seen_at)
    SELECT p_tenant, h.env, h.kind, h.name, p_process, p_role, h.epoch, h.ready, h.failures, clock_timestamp()
    FROM jsonb_to_recordset(p_held) AS h(env text, kind text, name text, epoch int, ready int[], failures jsonb)
    ON CONFLICT (tenant_id, env, kind, name, process_id) DO UPDATE
      SET role = excluded.role, epoch = excluded.epoch, ready = excluded.ready, failures = excluded.failures,
          seen_at = excluded.seen_at;
  END IF;
  SELECT coalesce(jsonb_agg(jsonb_build_object(
      'env', t.env, 'kind', t.kind, 'name', t.name,
      'candidates', coalesce((
        SELECT jsonb_agg(DISTINCT e.version) FROM release e
        WHERE e.tenant_id = p_tenant AND e.env = t.env AND e.kind = t.kind AND e.name = t.name
          AND e.ended_at IS NULL AND e.queued_behind IS NULL
          AND e.state NOT IN ('PREFLIGHT', 'ROLLING_BACK')), '[]'::jsonb),
      'routing', CASE WHEN r.epoch IS NULL THEN NULL ELSE jsonb_build_object(
        'epoch', r.epoch, 'active', r.active, 'previous', r.previous, 'arms', r.arms, 'shadow', r.shadow,
        'kills', coalesce(r.kill->'all', '[]'::jsonb), 'minEpoch', r.min_epoch, 'releaseId', r.release_id,
        'salt', encode(r.salt, 'base64')) END)), '[]'::jsonb)
  INTO v_targets
  FROM (SELECT env, kind, name FROM routing WHERE tenant_id = p_tenant
        UNION
        SELECT env, kind, name FROM release
        WHERE tenant_id = p_tenant AND ended_at IS NULL AND queued_behind IS NULL) t
  LEFT JOIN routing r ON r.tenant_id = p_tenant AND r.env = t.env AND r.kind = t.kind AND r.name = t.name;
  RETURN v_targets;
END $$;
-- A process that stops takes its leases along, so that nobody waits for it.
CREATE FUNCTION serving_leave(p_tenant text, p_process text) RETURNS void
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  DELETE FROM serving_lease WHERE tenant_id = p_tenant AND process_id = p_process;
END $$;
REVOKE ALL ON FUNCTION serving_follow(text, text, text, jsonb), serving_leave(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION serving_follow(text, text, text, jsonb), serving_leave(text, text)
  TO anneal_api, anneal_worker;
