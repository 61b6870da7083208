-- CreateTable
CREATE TABLE "tenant" (
    "tenant_id" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tenant_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "principal" (
    "tenant_id" TEXT NOT NULL,
    "principal_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "roles" TEXT[],
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "disabled_at" TIMESTAMPTZ(6),

    CONSTRAINT "principal_pkey" PRIMARY KEY ("tenant_id","principal_id")
);

-- CreateTable
CREATE TABLE "api_key" (
    "tenant_id" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "principal_id" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "last_four" TEXT NOT NULL,
    "secret_hmac" BYTEA NOT NULL,
    "pepper_version" INTEGER NOT NULL,
    "scopes" TEXT[],
    "expires_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("tenant_id","key_id")
);

-- CreateTable
CREATE TABLE "approval" (
    "tenant_id" TEXT NOT NULL,
    "approval_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "env" TEXT NOT NULL,
    "evaluation_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "subject" JSONB NOT NULL,
    "subject_digest" TEXT NOT NULL,
    "rollout_plan" JSONB NOT NULL,
    "contract_break" BOOLEAN NOT NULL DEFAULT false,
    "required" INTEGER NOT NULL,
    "comment" TEXT NOT NULL,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "closed_at" TIMESTAMPTZ(6),

    CONSTRAINT "approval_pkey" PRIMARY KEY ("tenant_id","approval_id")
);

-- CreateTable
CREATE TABLE "approval_decision" (
    "tenant_id" TEXT NOT NULL,
    "decision_id" TEXT NOT NULL,
    "approval_id" TEXT NOT NULL,
    "principal_id" TEXT NOT NULL,
    "decision" TEXT NOT NULL,
    "payload" TEXT NOT NULL,
    "signature" BYTEA NOT NULL,
    "key_id" TEXT NOT NULL,
    "nonce" TEXT NOT NULL,
    "decided_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "approval_decision_pkey" PRIMARY KEY ("tenant_id","decision_id")
);

-- CreateTable
CREATE TABLE "approval_nonce" (
    "tenant_id" TEXT NOT NULL,
    "nonce" TEXT NOT NULL,
    "approval_id" TEXT NOT NULL,
    "release_id" TEXT NOT NULL,
    "consumed_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "approval_nonce_pkey" PRIMARY KEY ("tenant_id","nonce")
);

-- CreateTable
CREATE TABLE "audit_entry" (
    "tenant_id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at_micros" BIGINT NOT NULL,
    "entry" TEXT NOT NULL,
    "entry_hash" BYTEA NOT NULL,
    "prev_hash" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "audit_entry_pkey" PRIMARY KEY ("tenant_id","seq")
);

-- CreateTable
CREATE TABLE "audit_head" (
    "tenant_id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "audit_head_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "audit_leaf" (
    "tenant_id" TEXT NOT NULL,
    "leaf_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "digest" BYTEA NOT NULL,
    "sealed_seq" BIGINT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_leaf_pkey" PRIMARY KEY ("tenant_id","leaf_id")
);

-- CreateTable
CREATE TABLE "dataset" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "purposes" TEXT[],
    "legal_basis" TEXT NOT NULL,
    "retention_days" INTEGER NOT NULL,
    "risk_class" TEXT NOT NULL,
    "current_snapshot_id" TEXT,
    "epoch" INTEGER NOT NULL DEFAULT 0,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "dataset_pkey" PRIMARY KEY ("tenant_id","name")
);

-- CreateTable
CREATE TABLE "dataset_contract" (
    "tenant_id" TEXT NOT NULL,
    "contract_id" TEXT NOT NULL,
    "dataset" TEXT NOT NULL,
    "body" JSONB NOT NULL,
    "digest" TEXT NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "dataset_contract_pkey" PRIMARY KEY ("tenant_id","contract_id")
);

-- CreateTable
CREATE TABLE "publication" (
    "tenant_id" TEXT NOT NULL,
    "publication_id" TEXT NOT NULL,
    "dataset" TEXT NOT NULL,
    "contract_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "input" JSONB NOT NULL,
    "source_ref" TEXT NOT NULL,
    "source_digest" TEXT NOT NULL,
    "source_bytes" BIGINT NOT NULL,
    "snapshot_id" TEXT,
    "counts" JSONB,
    "failure" JSONB,
    "decision" JSONB,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "publication_pkey" PRIMARY KEY ("tenant_id","publication_id")
);

-- CreateTable
CREATE TABLE "publication_reject" (
    "tenant_id" TEXT NOT NULL,
    "publication_id" TEXT NOT NULL,
    "row_number" INTEGER NOT NULL,
    "field" TEXT NOT NULL,
    "rule" TEXT NOT NULL,
    "detail" TEXT,

    CONSTRAINT "publication_reject_pkey" PRIMARY KEY ("tenant_id","publication_id","row_number","field","rule")
);

-- CreateTable
CREATE TABLE "snapshot" (
    "tenant_id" TEXT NOT NULL,
    "snapshot_id" TEXT NOT NULL,
    "dataset" TEXT NOT NULL,
    "publication_id" TEXT NOT NULL,
    "contract_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "rows" INTEGER NOT NULL,
    "rejected" INTEGER NOT NULL,
    "manifest" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "snapshot_pkey" PRIMARY KEY ("tenant_id","snapshot_id")
);

-- CreateTable
CREATE TABLE "snapshot_subject" (
    "tenant_id" TEXT NOT NULL,
    "subject_token" TEXT NOT NULL,
    "snapshot_id" TEXT NOT NULL,
    "part" INTEGER NOT NULL,
    "rows" INTEGER NOT NULL,

    CONSTRAINT "snapshot_subject_pkey" PRIMARY KEY ("tenant_id","subject_token","snapshot_id","part")
);

-- CreateTable
CREATE TABLE "lineage_edge" (
    "tenant_id" TEXT NOT NULL,
    "from_node" TEXT NOT NULL,
    "relation" TEXT NOT NULL,
    "to_node" TEXT NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "lineage_edge_pkey" PRIMARY KEY ("tenant_id","from_node","relation","to_node")
);

-- CreateTable
CREATE TABLE "decision" (
    "tenant_id" TEXT NOT NULL,
    "decision_id" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lane" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "code" TEXT,
    "actor" TEXT NOT NULL,
    "subject_token" TEXT,
    "purpose" TEXT NOT NULL,
    "consent_ref" TEXT,
    "jurisdiction" TEXT,
    "data_class" TEXT,
    "inputs_digest" TEXT NOT NULL,
    "inputs_ref" TEXT NOT NULL,
    "outputs_digest" TEXT,
    "outputs_ref" TEXT,
    "confidence" DOUBLE PRECISION,
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "digest" TEXT NOT NULL,
    "upstream_model" TEXT,
    "fingerprint" TEXT,
    "arm" TEXT NOT NULL,
    "routing_epoch" INTEGER NOT NULL,
    "policy_version" TEXT,
    "routing" JSONB,
    "prompt_version" TEXT,
    "dataset_version" TEXT,
    "contract_version" TEXT NOT NULL,
    "attempts" JSONB NOT NULL,
    "fallback" JSONB,
    "cache" JSONB,
    "compression" JSONB,
    "guards" JSONB,
    "pii_counts" JSONB,
    "price_version" TEXT,
    "hold_micro_usd" BIGINT,
    "cost_micro_usd" BIGINT,
    "budget_before" BIGINT,
    "budget_after" BIGINT,
    "flags" JSONB NOT NULL,
    "explanation_ref" TEXT,
    "warnings" JSONB NOT NULL,
    "human_review" JSONB,
    "workflow_id" TEXT,
    "trace_id" TEXT,
    "latency_ms" DOUBLE PRECISION NOT NULL,
    "row_hash" BYTEA NOT NULL,

    CONSTRAINT "decision_pkey" PRIMARY KEY ("tenant_id","decision_id")
);

-- CreateTable
CREATE TABLE "evaluation_policy" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "revision" INTEGER NOT NULL,
    "criteria" JSONB NOT NULL,
    "digest" TEXT NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "evaluation_policy_pkey" PRIMARY KEY ("tenant_id","name","revision")
);

-- CreateTable
CREATE TABLE "evaluation" (
    "tenant_id" TEXT NOT NULL,
    "evaluation_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "input" JSONB NOT NULL,
    "verdict" TEXT,
    "report" TEXT,
    "report_digest" TEXT,
    "failure" JSONB,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "evaluation_pkey" PRIMARY KEY ("tenant_id","evaluation_id")
);

-- CreateTable
CREATE TABLE "idempotency" (
    "tenant_id" TEXT NOT NULL,
    "principal_id" TEXT NOT NULL,
    "route" TEXT NOT NULL,
    "key_hash" BYTEA NOT NULL,
    "body_hash" BYTEA NOT NULL,
    "status" INTEGER NOT NULL,
    "response" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_pkey" PRIMARY KEY ("tenant_id","principal_id","route","key_hash")
);

-- CreateTable
CREATE TABLE "intent" (
    "tenant_id" TEXT NOT NULL,
    "workflow_id" TEXT NOT NULL,
    "workflow_type" TEXT NOT NULL,
    "task_queue" TEXT NOT NULL,
    "input" JSONB NOT NULL,
    "input_digest" TEXT NOT NULL,
    "options" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "due_at" TIMESTAMPTZ(6) NOT NULL,
    "claimed_at" TIMESTAMPTZ(6),
    "delivered_at" TIMESTAMPTZ(6),

    CONSTRAINT "intent_pkey" PRIMARY KEY ("tenant_id","workflow_id")
);

-- CreateTable
CREATE TABLE "wake" (
    "tenant_id" TEXT NOT NULL,
    "fact_id" TEXT NOT NULL,
    "workflow_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "claimed_at" TIMESTAMPTZ(6),
    "delivered_at" TIMESTAMPTZ(6),

    CONSTRAINT "wake_pkey" PRIMARY KEY ("tenant_id","fact_id")
);

-- CreateTable
CREATE TABLE "outbox" (
    "tenant_id" TEXT NOT NULL,
    "event_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "claimed_at" TIMESTAMPTZ(6),
    "delivered_at" TIMESTAMPTZ(6),

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("tenant_id","event_id")
);

-- CreateTable
CREATE TABLE "feedback" (
    "tenant_id" TEXT NOT NULL,
    "feedback_id" TEXT NOT NULL,
    "decision_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "value" JSONB NOT NULL,
    "value_digest" TEXT NOT NULL,
    "source_kind" TEXT NOT NULL,
    "source_id" TEXT NOT NULL,
    "observed_at" TIMESTAMPTZ(6) NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "feedback_pkey" PRIMARY KEY ("tenant_id","feedback_id")
);

-- CreateTable
CREATE TABLE "inference" (
    "tenant_id" TEXT NOT NULL,
    "inference_id" TEXT NOT NULL,
    "principal_id" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "arm" TEXT NOT NULL,
    "routing_epoch" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "code" TEXT,
    "purpose" TEXT NOT NULL,
    "subject_token" TEXT,
    "plan" JSONB NOT NULL,
    "warnings" JSONB NOT NULL,
    "inputs_digest" TEXT NOT NULL,
    "inputs" BYTEA NOT NULL,
    "outputs" BYTEA,
    "request_id" TEXT NOT NULL,
    "workflow_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deadline_at" TIMESTAMPTZ(6) NOT NULL,
    "settled_at" TIMESTAMPTZ(6),

    CONSTRAINT "inference_pkey" PRIMARY KEY ("tenant_id","inference_id")
);

-- CreateTable
CREATE TABLE "inference_attempt" (
    "tenant_id" TEXT NOT NULL,
    "inference_id" TEXT NOT NULL,
    "n" INTEGER NOT NULL,
    "version" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "class" TEXT,
    "started_at" TIMESTAMPTZ(6),
    "total_ms" DOUBLE PRECISION,

    CONSTRAINT "inference_attempt_pkey" PRIMARY KEY ("tenant_id","inference_id","n")
);

-- CreateTable
CREATE TABLE "registered_model" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "risk_class" TEXT NOT NULL,
    "outcome" JSONB NOT NULL,
    "policy_name" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "next_version" INTEGER NOT NULL DEFAULT 1,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "registered_model_pkey" PRIMARY KEY ("tenant_id","name")
);

-- CreateTable
CREATE TABLE "model_version" (
    "tenant_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "assurance" TEXT NOT NULL,
    "artifact_ref" TEXT NOT NULL,
    "artifact_digest" TEXT NOT NULL,
    "artifact_bytes" BIGINT NOT NULL,
    "contract" JSONB NOT NULL,
    "contract_digest" TEXT NOT NULL,
    "golden" JSONB NOT NULL,
    "metrics" JSONB NOT NULL,
    "lineage" JSONB NOT NULL,
    "annotations" JSONB NOT NULL DEFAULT '{}',
    "run_id" TEXT,
    "trained_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "model_version_pkey" PRIMARY KEY ("tenant_id","model","version")
);

-- CreateTable
CREATE TABLE "deployment" (
    "tenant_id" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "was_active" BOOLEAN NOT NULL DEFAULT false,
    "barred_at" TIMESTAMPTZ(6),
    "barred_reason" TEXT,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "deployment_pkey" PRIMARY KEY ("tenant_id","env","model","version")
);

-- CreateTable
CREATE TABLE "routing" (
    "tenant_id" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "active" INTEGER,
    "previous" INTEGER,
    "arms" JSONB NOT NULL,
    "salt" BYTEA NOT NULL,
    "shadow" JSONB NOT NULL,
    "kill" JSONB,
    "min_epoch" INTEGER NOT NULL,
    "release_id" TEXT,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "routing_pkey" PRIMARY KEY ("tenant_id","env","kind","name")
);

-- CreateTable
CREATE TABLE "routing_history" (
    "tenant_id" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "document" JSONB NOT NULL,
    "actor" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "release_id" TEXT,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "routing_history_pkey" PRIMARY KEY ("tenant_id","env","kind","name","epoch")
);

-- CreateTable
CREATE TABLE "release" (
    "tenant_id" TEXT NOT NULL,
    "release_id" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "strategy" TEXT NOT NULL,
    "approval_id" TEXT,
    "state" TEXT NOT NULL,
    "plan" JSONB NOT NULL,
    "plan_digest" TEXT NOT NULL,
    "waiting_on" TEXT NOT NULL DEFAULT 'nothing',
    "reason" TEXT NOT NULL,
    "report" JSONB,
    "report_digest" TEXT,
    "failure" JSONB,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "release_pkey" PRIMARY KEY ("tenant_id","release_id")
);

-- CreateTable
CREATE TABLE "release_step" (
    "tenant_id" TEXT NOT NULL,
    "release_id" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "epoch" INTEGER,
    "reason" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "checks" JSONB NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "release_step_pkey" PRIMARY KEY ("tenant_id","release_id","seq")
);

-- CreateTable
CREATE TABLE "release_command" (
    "tenant_id" TEXT NOT NULL,
    "command_id" TEXT NOT NULL,
    "release_id" TEXT NOT NULL,
    "command" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "applied_at" TIMESTAMPTZ(6),

    CONSTRAINT "release_command_pkey" PRIMARY KEY ("tenant_id","command_id")
);

-- CreateTable
CREATE TABLE "shadow" (
    "tenant_id" TEXT NOT NULL,
    "shadow_id" TEXT NOT NULL,
    "release_id" TEXT,
    "env" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "input" JSONB NOT NULL,
    "verdict" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "shadow_pkey" PRIMARY KEY ("tenant_id","shadow_id")
);

-- CreateTable
CREATE TABLE "shadow_pair" (
    "tenant_id" TEXT NOT NULL,
    "decision_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "shadow_id" TEXT NOT NULL,
    "champion" JSONB NOT NULL,
    "candidate" JSONB,
    "error" TEXT,
    "label" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "shadow_pair_pkey" PRIMARY KEY ("tenant_id","decision_id","version")
);

-- CreateTable
CREATE TABLE "serving_lease" (
    "tenant_id" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "process_id" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "ready" INTEGER[],
    "failures" JSONB NOT NULL DEFAULT '{}',
    "seen_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "serving_lease_pkey" PRIMARY KEY ("tenant_id","env","kind","name","process_id")
);

-- CreateTable
CREATE TABLE "kill_switch" (
    "tenant_id" TEXT NOT NULL,
    "kill_id" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "env" TEXT NOT NULL,
    "model" TEXT,
    "version" INTEGER,
    "mode" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lift_requested_by" TEXT,
    "lifted_by" TEXT,
    "lifted_at" TIMESTAMPTZ(6),

    CONSTRAINT "kill_switch_pkey" PRIMARY KEY ("tenant_id","kill_id")
);

-- CreateTable
CREATE TABLE "training_run" (
    "tenant_id" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "input" JSONB NOT NULL,
    "snapshot_id" TEXT NOT NULL,
    "trainer_kind" TEXT NOT NULL,
    "experiment" TEXT,
    "version" INTEGER,
    "artifact_digest" TEXT,
    "result" JSONB,
    "failure" JSONB,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "training_run_pkey" PRIMARY KEY ("tenant_id","run_id")
);

-- CreateTable
CREATE TABLE "training_checkpoint" (
    "tenant_id" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "ref" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "training_checkpoint_pkey" PRIMARY KEY ("tenant_id","run_id","step")
);

-- CreateTable
CREATE TABLE "training_metric" (
    "tenant_id" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "training_metric_pkey" PRIMARY KEY ("tenant_id","run_id","name","step")
);

-- CreateTable
CREATE TABLE "training_log" (
    "tenant_id" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "line" TEXT NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "training_log_pkey" PRIMARY KEY ("tenant_id","run_id","seq")
);

-- CreateIndex
CREATE UNIQUE INDEX "principal_tenant_id_name_key" ON "principal"("tenant_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "api_key_key_id_key" ON "api_key"("key_id");

-- CreateIndex
CREATE INDEX "approval_tenant_id_model_version_idx" ON "approval"("tenant_id", "model", "version");

-- CreateIndex
CREATE UNIQUE INDEX "approval_decision_tenant_id_approval_id_principal_id_key" ON "approval_decision"("tenant_id", "approval_id", "principal_id");

-- CreateIndex
CREATE UNIQUE INDEX "approval_decision_tenant_id_nonce_key" ON "approval_decision"("tenant_id", "nonce");

-- CreateIndex
CREATE INDEX "audit_leaf_tenant_id_sealed_seq_idx" ON "audit_leaf"("tenant_id", "sealed_seq");

-- CreateIndex
CREATE INDEX "dataset_contract_tenant_id_dataset_idx" ON "dataset_contract"("tenant_id", "dataset");

-- CreateIndex
CREATE INDEX "publication_tenant_id_dataset_publication_id_idx" ON "publication"("tenant_id", "dataset", "publication_id");

-- CreateIndex
CREATE INDEX "snapshot_tenant_id_dataset_idx" ON "snapshot"("tenant_id", "dataset");

-- CreateIndex
CREATE INDEX "lineage_edge_tenant_id_to_node_idx" ON "lineage_edge"("tenant_id", "to_node");

-- CreateIndex
CREATE INDEX "decision_tenant_id_model_at_idx" ON "decision"("tenant_id", "model", "at");

-- CreateIndex
CREATE INDEX "decision_tenant_id_subject_token_idx" ON "decision"("tenant_id", "subject_token");

-- CreateIndex
CREATE INDEX "evaluation_tenant_id_model_version_evaluation_id_idx" ON "evaluation"("tenant_id", "model", "version", "evaluation_id");

-- CreateIndex
CREATE INDEX "idempotency_tenant_id_created_at_idx" ON "idempotency"("tenant_id", "created_at");

-- CreateIndex
CREATE INDEX "intent_due_at_idx" ON "intent"("due_at");

-- CreateIndex
CREATE UNIQUE INDEX "feedback_tenant_id_decision_id_source_kind_source_id_type_v_key" ON "feedback"("tenant_id", "decision_id", "source_kind", "source_id", "type", "value_digest");

-- CreateIndex
CREATE UNIQUE INDEX "model_version_tenant_id_run_id_key" ON "model_version"("tenant_id", "run_id");

-- CreateIndex
CREATE INDEX "release_tenant_id_env_kind_name_idx" ON "release"("tenant_id", "env", "kind", "name");

-- CreateIndex
CREATE INDEX "release_command_tenant_id_release_id_idx" ON "release_command"("tenant_id", "release_id");

-- CreateIndex
CREATE INDEX "shadow_pair_tenant_id_shadow_id_idx" ON "shadow_pair"("tenant_id", "shadow_id");

-- CreateIndex
CREATE INDEX "training_run_tenant_id_model_run_id_idx" ON "training_run"("tenant_id", "model", "run_id");

-- One running release per target, one open approval per version and environment: a second one is a 409 that names the first.
CREATE UNIQUE INDEX "release_running_key" ON "release"("tenant_id", "env", "kind", "name") WHERE "ended_at" IS NULL;
CREATE UNIQUE INDEX "approval_open_key" ON "approval"("tenant_id", "model", "version", "env") WHERE "closed_at" IS NULL;
