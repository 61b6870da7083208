-- What the reconciler found between Postgres and Temporal, and what was done about it. A row that waits for a person is
-- OPEN; the others were settled when they were found.
CREATE TABLE "divergence" (
    "tenant_id" TEXT NOT NULL,
    "divergence_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "workflow_id" TEXT NOT NULL,
    "workflow_type" TEXT NOT NULL,
    "run_id" TEXT,
    "detail" TEXT NOT NULL,
    "restoration_id" TEXT,
    "found_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "resolution" TEXT,
    "resolved_by" TEXT,
    "resolved_at" TIMESTAMPTZ(6),

    CONSTRAINT "divergence_pkey" PRIMARY KEY ("tenant_id","divergence_id")
);
-- The same run is listed once under one kind, however often a pass sees it.
CREATE UNIQUE INDEX "divergence_tenant_id_workflow_id_kind_run_id_key" ON "divergence"("tenant_id", "workflow_id", "kind", "run_id");

-- A restore from a backup. The row is the installation's: its tenant is `system`. Until it is reconciled nothing serves.
CREATE TABLE "restoration" (
    "tenant_id" TEXT NOT NULL,
    "restoration_id" TEXT NOT NULL,
    "backup_id" TEXT NOT NULL,
    "recovered_to" TIMESTAMPTZ(6) NOT NULL,
    "restored_at" TIMESTAMPTZ(6) NOT NULL,
    "report" JSONB NOT NULL,
    "reconciled_at" TIMESTAMPTZ(6),

    CONSTRAINT "restoration_pkey" PRIMARY KEY ("tenant_id","restoration_id")
);

ALTER TABLE divergence ENABLE ROW LEVEL SECURITY;
ALTER TABLE divergence FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON divergence
  USING (tenant_id = nullif(current_setting('app.tenant', true), ''))
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), ''));
ALTER TABLE restoration ENABLE ROW LEVEL SECURITY;
ALTER TABLE restoration FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON restoration
  USING (tenant_id = nullif(current_setting('app.tenant', true), ''))
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), ''));
GRANT SELECT ON divergence, restoration TO anneal_api, anneal_worker;
GRANT INSERT ON divergence TO anneal_worker;
GRANT UPDATE ON divergence TO anneal_api;
GRANT UPDATE ON restoration TO anneal_worker;
