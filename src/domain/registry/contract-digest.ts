import type { ModelContract } from '../datasets/model-contract.js';
import { digestOf } from '../digest.js';
import type { Digest } from '../ids.js';

/** Digest of a model version's contract, inputs and outputs. */
export const modelContractDigest = (contract: ModelContract): Digest =>
  digestOf('anneal.model.contract', contract);
