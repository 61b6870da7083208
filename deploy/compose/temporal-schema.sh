#!/bin/sh
# Brings both databases of Temporal to the schema of this release. `setup-schema` would set the version of a filled
# database back to 0.0, so it runs only where the version table does not exist.
set -eu

tool() {
  temporal-sql-tool --plugin postgres12 --endpoint "$POSTGRES_SEEDS" --port 5432 --user "$POSTGRES_USER" \
    --password "$POSTGRES_PWD" --database "$@"
}

for name in temporal visibility; do
  database=temporal
  [ "$name" = visibility ] && database=temporal_visibility
  versions="/etc/temporal/schema/postgresql/v12/$name/versioned"
  if said=$(tool "$database" update-schema --schema-dir "$versions" 2>&1); then
    echo "$database: at the schema of this release"
    continue
  fi
  case "$said" in
    *schema_version*'does not exist'*)
      tool "$database" setup-schema --version 0.0
      tool "$database" update-schema --schema-dir "$versions"
      ;;
    *)
      echo "$said" >&2
      exit 1
      ;;
  esac
done
