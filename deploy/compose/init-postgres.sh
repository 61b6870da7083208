#!/bin/sh
# Runs once, when the cluster is empty: the roles of Anneal and their passwords, the database that the owner migrates,
# and the two databases of Temporal.
set -eu

psql --set ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --dbname postgres --file /anneal/roles.sql
psql --set ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --dbname postgres \
  --set owner="$ANNEAL_OWNER_PASSWORD" --set api="$ANNEAL_API_PASSWORD" --set worker="$ANNEAL_WORKER_PASSWORD" \
  --set relay="$ANNEAL_RELAY_PASSWORD" --set temporal="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
ALTER ROLE anneal_owner PASSWORD :'owner';
ALTER ROLE anneal_api PASSWORD :'api';
ALTER ROLE anneal_worker PASSWORD :'worker';
ALTER ROLE anneal_relay PASSWORD :'relay';
CREATE DATABASE anneal OWNER anneal_owner;
REVOKE CONNECT, TEMPORARY ON DATABASE anneal FROM PUBLIC;
GRANT CONNECT ON DATABASE anneal TO anneal_api, anneal_worker, anneal_relay;
CREATE ROLE temporal LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'temporal';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT, TEMPORARY ON DATABASE temporal FROM PUBLIC;
REVOKE CONNECT, TEMPORARY ON DATABASE temporal_visibility FROM PUBLIC;
SQL
