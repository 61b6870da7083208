#!/bin/sh
# The namespace and its search attributes, as src/domain/search-attributes.ts names them. Adding one that is there under
# another type would be ignored in silence, so what is there is left alone and the processes compare it at start.
set -eu

if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 720h
fi

for name in Tenant Target Version Phase Verdict RiskClass WaitingOn; do
  if ! temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" | grep -qw "$name"; then
    temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$name" --type Keyword
  fi
done
