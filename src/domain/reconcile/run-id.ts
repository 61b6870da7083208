/** Workflows of the platform whose authority is another than an intent of their own: a Schedule, the watcher's row. */
const withoutIntent: ReadonlySet<string> = new Set(['startDueWork', 'ingestBatch']);

/**
 * The tenant of a run that needs an intent, by the layout `<kind>/<tenant>/…` of every workflow id; undefined for runs
 * whose authority is another, and for workflows that are none of ours.
 * @param ownTypes the workflow types of this build
 */
export function tenantOfRun(
  run: { workflowId: string; workflowType: string },
  ownTypes: ReadonlySet<string>,
): string | undefined {
  if (!ownTypes.has(run.workflowType) || withoutIntent.has(run.workflowType)) return undefined;
  const [kind, tenant, id] = run.workflowId.split('/');
  return kind === undefined || id === undefined ? undefined : tenant;
}

/** True for runs that others start from rows: where one is stopped, its watcher or its Schedule starts the next. */
export const isDerivedRun = ({ workflowType }: { workflowType: string }): boolean =>
  withoutIntent.has(workflowType);
