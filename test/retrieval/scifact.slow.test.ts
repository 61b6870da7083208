import { hash384 } from '../../src/domain/etl/hash-384.js';
import { createBm25 } from '../../src/domain/retrieval/bm25.js';
import { fitAlpha, type JudgedLegs } from '../../src/domain/retrieval/fit-alpha.js';
import { fuse, type Fusion } from '../../src/domain/retrieval/fuse.js';
import { ndcg, rankDocuments } from '../../src/domain/retrieval/ndcg.js';
import { pairedBootstrap } from '../../src/domain/retrieval/paired-bootstrap.js';
import { describeWithData } from '../support/test-data.js';
import { createExactCosine, loadSciFact, type SciFactQuery } from './scifact.js';

const CANDIDATES = 100;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describeWithData(
  'scifact',
  'the built-in evaluation set (BEIR SciFact, 809 judged queries)',
  () => {
    const { chunks, queries, documentOf } = loadSciFact();
    const bm25 = createBm25(chunks);
    const dense = createExactCosine(
      chunks.map(({ id }) => id),
      chunks.map(({ text }) => hash384(text)),
    );
    const judged = queries.map((query): JudgedLegs & SciFactQuery => ({
      ...query,
      legs: {
        lexical: bm25.search(query.text, CANDIDATES),
        dense: dense(hash384(query.text), CANDIDATES),
      },
      documentOf: (id) => documentOf.get(id) ?? '',
    }));
    const report = judged.filter(({ split }) => split === 'report');
    const fitted = fitAlpha(judged.filter(({ split }) => split === 'fit'));

    const ndcgs = (of: typeof judged, use: { lexical: boolean; dense: boolean; fusion: Fusion }) =>
      of.map(({ legs, judgements }) => {
        const asked = {
          lexical: use.lexical ? legs.lexical : [],
          dense: use.dense ? legs.dense : [],
        };
        const chunksOf = fuse(asked, use.fusion).map(({ id, score }) => ({
          docId: documentOf.get(id) ?? '',
          score,
        }));
        return ndcg(rankDocuments(chunksOf), judgements) ?? 0;
      });
    const lexicalAlone = {
      lexical: true,
      dense: false,
      fusion: { kind: 'weighted', alpha: 1 },
    } as const;
    const denseAlone = {
      lexical: false,
      dense: true,
      fusion: { kind: 'weighted', alpha: 0 },
    } as const;
    const hybrid = (fusion: Fusion) => ({ lexical: true, dense: true, fusion });
    const alpha = (fitted?.alphaBp ?? Number.NaN) / 10_000;

    it('is split as its figures say: 436 queries fit, 373 report', () => {
      expect(queries).toHaveLength(809);
      expect(report).toHaveLength(373);
    });

    it('lexical, hash-384 and hybrid reach their gates, and fitted hybrid is not worse than lexical', () => {
      const rows = [
        ['BM25', lexicalAlone, '0.699 / 0.724'],
        ['hash-384', denseAlone, '0.433 / 0.438'],
        ['BM25 + hash-384 at 0.9', hybrid({ kind: 'weighted', alpha: 0.9 }), '0.699 / 0.723'],
        [`BM25 + hash-384 at ${alpha} (fitted)`, hybrid({ kind: 'weighted', alpha }), '–'],
        ['BM25 + hash-384, RRF', hybrid({ kind: 'rrf' }), '0.573 / 0.584'],
      ] as const;
      const figures = rows.map(([name, use, reference]) => ({
        name,
        reference,
        all: mean(ndcgs(judged, use)),
        report: mean(ndcgs(report, use)),
      }));
      const compared = pairedBootstrap(
        ndcgs(report, hybrid({ kind: 'weighted', alpha })),
        ndcgs(report, lexicalAlone),
        { seed: 7 },
      );
      const table = figures.map(
        ({ name, all, report: half, reference }) =>
          `${name.padEnd(32)} ${all.toFixed(3)} / ${half.toFixed(3)}   reference ${reference}`,
      );
      process.stdout.write(
        `SciFact nDCG@10, all / report half\n${table.join('\n')}\n` +
          `fitted hybrid − BM25 on the report half: ${compared.difference.toFixed(4)}, 95 % [${compared.low.toFixed(4)}, ` +
          `${compared.high.toFixed(4)}], ${compared.verdict}, significantly better: ${compared.better}\n`,
      );
      const [lexical, hash, , fittedHybrid] = figures;
      expect(lexical?.all).toBeGreaterThanOrEqual(0.68);
      expect(hash?.all).toBeGreaterThanOrEqual(0.41);
      expect(fittedHybrid?.report).toBeGreaterThanOrEqual(0.715);
      expect(compared.verdict).toBe('PASS');
    });
  },
);
