/** What it takes to read what a model answered. */
export interface PredictedLabelsDeps {
  /** Sealed outputs of decisions, by decision id. */
  sealedOutputs: (
    tenant: string,
    decisionIds: string[],
  ) => Promise<{ decisionId: string; outputs: Uint8Array }[]>;
  /** Opens one; undefined where it cannot be read any more. */
  openOutput: (of: {
    tenant: string;
    inferenceId: string;
    outputs: Uint8Array;
  }) => Promise<{ label: string } | undefined>;
}

/** The predicted label of each decision; one without a readable output is left out. Reads only. */
export const createPredictedLabels =
  (deps: PredictedLabelsDeps) =>
  async (tenant: string, decisionIds: string[]): Promise<Record<string, string>> => {
    const labels: Record<string, string> = {};
    for (const { decisionId, outputs } of await deps.sealedOutputs(tenant, decisionIds)) {
      const output = await deps.openOutput({ tenant, inferenceId: decisionId, outputs });
      if (output !== undefined) labels[decisionId] = output.label;
    }
    return labels;
  };
