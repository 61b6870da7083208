import { open, readFile } from 'node:fs/promises';
import { isErrorCode, PlatformError } from '../../domain/errors.js';
import { encodeLsa } from '../../domain/etl/lsa-artifact.js';
import { fitLsa } from '../../domain/etl/lsa-fit.js';
import type { FitAnswer, FitJob } from './fit-protocol.js';

async function fit({ textsFile, artifactFile, seed }: FitJob): Promise<FitAnswer> {
  const since = performance.now();
  const lines = (await readFile(textsFile, 'utf8')).split('\n').filter((line) => line !== '');
  const texts = lines.map((line) => String(JSON.parse(line)));
  const model = fitLsa({ texts, seed });
  const { bytes, digest } = encodeLsa(model);
  const file = await open(artifactFile, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  return {
    fitted: {
      digest,
      bytes: bytes.length,
      terms: model.terms.size,
      texts: texts.length,
      durationMs: Math.round(performance.now() - since),
      maxRssBytes: process.resourceUsage().maxRSS * 1024,
    },
  };
}

process.once('message', ({ data }: { data: FitJob }) => {
  fit(data)
    .catch((error: unknown): FitAnswer => {
      const code =
        error instanceof PlatformError && isErrorCode(error.code) ? error.code : 'INTERNAL';
      return { code, message: error instanceof Error ? error.message : String(error) };
    })
    .then(
      (answer) => process.send?.(answer, () => process.disconnect()),
      () => process.disconnect(),
    );
});
