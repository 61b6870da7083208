import type { ErrorCode, FieldError } from '../errors.js';
import type { DatasetView, PublicationOptions, PublicationPlan } from './contract.js';
import type { DatasetContract } from './dataset-contract.js';

/** What a publication is planned on. */
export interface PublicationGround {
  dataset: Pick<DatasetView, 'name' | 'purposes' | 'legalBasis' | 'riskClass'>;
  /** The named contract, or the newest one; undefined where there is none. */
  contract: { id: string; contract: DatasetContract } | undefined;
}

/** A plan with its contract, or why there can be none. Pointers lead into the form's field `options`. */
export type PlannedPublication =
  | { ok: true; plan: PublicationPlan; contract: DatasetContract }
  | { ok: false; code: ErrorCode; message: string; errors: FieldError[] };

const refuse = (
  code: ErrorCode,
  message: string,
  wrong: { pointer: string; detail?: string }[],
): PlannedPublication => ({
  ok: false,
  code,
  message,
  errors: wrong.map(({ pointer, detail }) => ({ pointer: `/options${pointer}`, code, detail })),
});

function wrongPiiFields(
  { pii }: PublicationOptions,
  contract: DatasetContract,
): { pointer: string; detail: string }[] {
  const names = new Set(contract.fields.map(({ name }) => name));
  return (pii?.fields ?? []).flatMap((name, i) => {
    const pointer = `/pii/fields/${i}`;
    if (!names.has(name)) return [{ pointer, detail: 'is not a field of the contract' }];
    if (name === contract.label.field && pii?.action !== 'keep')
      return [{ pointer, detail: 'is the label, which stays as it is' }];
    return [];
  });
}

/**
 * Fills in what a request leaves out. Refuses with `CONTRACT_REQUIRED` without a contract, `PURPOSE_DENIED` for a
 * purpose that the data set does not have, `INVALID_REQUEST` for personal fields that the contract does not know.
 */
export function planPublication(
  options: PublicationOptions,
  { dataset, contract: found }: PublicationGround,
): PlannedPublication {
  if (found === undefined) {
    const detail =
      options.contractId === undefined
        ? 'the data set has no contract yet'
        : 'is no contract of this data set';
    const message = 'The data set has no such contract.';
    return refuse('CONTRACT_REQUIRED', message, [{ pointer: '/contractId', detail }]);
  }
  const { id, contract } = found;
  const purposes = options.purposes ?? dataset.purposes;
  const denied = purposes.flatMap((purpose, i) =>
    dataset.purposes.includes(purpose)
      ? []
      : [{ pointer: `/purposes/${i}`, detail: 'is no purpose of the data set' }],
  );
  if (denied.length > 0)
    return refuse('PURPOSE_DENIED', 'The data set does not cover every purpose.', denied);
  const wrong = wrongPiiFields(options, contract);
  if (wrong.length > 0)
    return refuse('INVALID_REQUEST', `Wrong fields of the request: ${wrong.length}.`, wrong);
  const { legalBasis, riskClass } = dataset;
  const contractId = id as PublicationPlan['contractId'];
  return { ok: true, contract, plan: { ...options, contractId, purposes, legalBasis, riskClass } };
}
