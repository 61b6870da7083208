import { canaryTexts, compareCanaries } from '../../src/domain/etl/canary.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import { subBatches } from '../../src/domain/etl/sub-batches.js';
import { badVectors, vectorFault } from '../../src/domain/etl/vector-check.js';

const vectors = () => canaryTexts.map((text) => hash384(text) ?? new Float32Array(384).fill(0.05));

describe('canary texts', () => {
  it('are twenty, all different', () => {
    expect(new Set(canaryTexts).size).toBe(20);
  });

  it('stay silent for the same model, scaled or rounded', () => {
    expect(compareCanaries(vectors(), vectors())).toMatchObject({ drifted: false, positions: [] });
    const rounded = vectors().map((vector) =>
      vector.map((value) => Math.fround(value * 2.5 + 1e-6)),
    );
    expect(compareCanaries(vectors(), rounded).drifted).toBe(false);
  });

  it('fire for one text of another model, for a missing, zero or NaN vector, and for other dimensions', () => {
    const moved = (change: (vector: Float32Array) => Float32Array | undefined) =>
      compareCanaries(
        vectors(),
        vectors().map((vector, at) => (at === 3 ? change(vector) : vector)),
      );
    const changes: ((vector: Float32Array) => Float32Array | undefined)[] = [
      (vector) => vector.map((value, at) => value + (at % 2 === 0 ? 0.005 : -0.005)),
      () => undefined,
      (vector) => vector.map(() => 0),
      (vector) => vector.map(() => NaN),
      (vector) => vector.subarray(1),
    ];
    for (const change of changes)
      expect(moved(change)).toMatchObject({ drifted: true, positions: [3] });
    expect(compareCanaries(vectors(), vectors().slice(1)).drifted).toBe(true);
    expect(compareCanaries([], []).drifted).toBe(true);
  });
});

describe('sub-batches', () => {
  const limits = { maxInputs: 3, maxTokensPerInput: 10, maxTokensPerRequest: 10 };

  it('cover every text once, in order, within both limits', () => {
    expect(subBatches([], limits)).toEqual([]);
    expect(subBatches([1, 1, 1, 1], limits)).toEqual([
      { start: 0, end: 3 },
      { start: 3, end: 4 },
    ]);
    expect(subBatches([5, 5, 1, 12, 9, 1], limits)).toEqual([
      { start: 0, end: 2 },
      { start: 2, end: 3 },
      { start: 3, end: 4 },
      { start: 4, end: 6 },
    ]);
  });
});

describe('the check of vectors', () => {
  it('names wrong dimensions, NaN, infinity and zero', () => {
    expect(vectorFault(Float32Array.of(1, 2), 2)).toBeUndefined();
    expect(vectorFault(Float32Array.of(1), 2)).toBe('wrong_dims');
    expect(vectorFault(Float32Array.of(1, NaN), 2)).toBe('not_finite');
    expect(vectorFault(Float32Array.of(1, Infinity), 2)).toBe('not_finite');
    expect(vectorFault(Float32Array.of(0, 0), 2)).toBe('zero_norm');
    expect(badVectors([undefined, Float32Array.of(0)], 1)).toEqual([
      { index: 1, fault: 'zero_norm' },
    ]);
  });
});
