-- Fits of embedders, and decisions of people about generations that were built.
CREATE TABLE "etl_fit" (
    "tenant_id" TEXT NOT NULL,
    "fit_id" TEXT NOT NULL,
    "collection_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "embedder" TEXT NOT NULL,
    "plan" JSONB NOT NULL,
    "state" TEXT NOT NULL,
    "artifact_ref" TEXT,
    "artifact_digest" TEXT,
    "outcome" JSONB,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "etl_fit_pkey" PRIMARY KEY ("tenant_id","fit_id")
);
CREATE INDEX "etl_fit_tenant_id_collection_id_fit_id_idx" ON "etl_fit"("tenant_id", "collection_id", "fit_id");

CREATE TABLE "etl_generation_decision" (
    "tenant_id" TEXT NOT NULL,
    "generation_id" TEXT NOT NULL,
    "decision" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "decided_by" TEXT NOT NULL,
    "decided_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "etl_generation_decision_pkey" PRIMARY KEY ("tenant_id","generation_id")
);

ALTER TABLE etl_fit ENABLE ROW LEVEL SECURITY;
ALTER TABLE etl_fit FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON etl_fit
  USING (tenant_id = nullif(current_setting('app.tenant', true), ''))
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), ''));
ALTER TABLE etl_generation_decision ENABLE ROW LEVEL SECURITY;
ALTER TABLE etl_generation_decision FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON etl_generation_decision
  USING (tenant_id = nullif(current_setting('app.tenant', true), ''))
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), ''));
GRANT SELECT ON etl_fit, etl_generation_decision TO anneal_api, anneal_worker;
GRANT INSERT ON etl_fit, etl_generation_decision TO anneal_api;
GRANT UPDATE ON etl_fit TO anneal_worker;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON etl_generation_decision
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON etl_generation_decision
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
