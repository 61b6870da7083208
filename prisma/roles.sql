-- The database roles. Run once per cluster by an administrator, before the migrations; passwords are set apart.
-- anneal_owner migrates and owns; anneal_api, anneal_worker and anneal_relay serve and can neither own nor bypass;
-- anneal_audit owns the audit functions and nobody logs in as it.
DO $$
DECLARE role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['anneal_owner', 'anneal_api', 'anneal_worker', 'anneal_relay', 'anneal_audit'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('CREATE ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT', role_name);
    END IF;
  END LOOP;
END $$;
ALTER ROLE anneal_owner LOGIN;
ALTER ROLE anneal_api LOGIN;
ALTER ROLE anneal_worker LOGIN;
ALTER ROLE anneal_relay LOGIN;
-- The owner hands the audit tables and functions over during migration.
GRANT anneal_audit TO anneal_owner WITH INHERIT FALSE, SET TRUE;
