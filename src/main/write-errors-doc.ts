import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { errorTable, type ErrorCode } from '../domain/errors.js';
import { errorCauses } from './error-causes.js';
import { projectFolder } from './project-folder.js';
import { writeDocument } from './write-document.js';

// Writes docs/errors.md from the error table and openapi.json; with `--check` it only compares.

const openApiSchema = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        operationId: z.string(),
        responses: z.record(z.string(), z.looseObject({ description: z.string() })),
      }),
    ),
  ),
});

const intro = `# Errors

<!-- Generated from src/domain/errors.ts and src/main/error-causes.ts by \`npm run docs:errors\`; edit them there. -->

Every refusal is a problem document (RFC 9457): \`code\` is one of the names below, \`detail\` says what happened in this case,
\`errors\` names each wrong field by its pointer, \`next\` says what to do, \`requestId\` finds it in the logs. In the Temporal Web UI the
same name is the type of a failed activity. _Again_ means that the same request may succeed later; everything else stays refused
until something changes.
`;

/** More operations than this are "many". */
const NAMED = 8;

/** Operations that answer a code, as the OpenAPI document lists them. */
async function operationsByCode(): Promise<Map<string, string[]>> {
  const document = openApiSchema.parse(
    JSON.parse(await readFile(projectFolder('openapi.json'), 'utf8')),
  );
  const byCode = new Map<string, string[]>();
  for (const { operationId, responses } of Object.values(document.paths).flatMap((path) =>
    Object.values(path),
  ))
    for (const code of Object.values(responses).flatMap((one) => one.description.split(', ')))
      byCode.set(code, [...(byCode.get(code) ?? []), operationId]);
  return byCode;
}

function answeredBy(operations: readonly string[] | undefined): string {
  if (operations === undefined) return 'Seen in runs, not as an answer of an operation of its own.';
  if (operations.length > NAMED) return `Answered by ${operations.length} operations.`;
  return `Answered by ${[...operations]
    .sort()
    .map((name) => `\`${name}\``)
    .join(', ')}.`;
}

async function render(): Promise<string> {
  const operations = await operationsByCode();
  const codes = (Object.keys(errorTable) as ErrorCode[]).sort();
  const sections = codes.map((code) => {
    const { status, retryable, next } = errorTable[code];
    return [
      `## ${code}`,
      '',
      `${status}${retryable ? ', again' : ''}. ${answeredBy(operations.get(code))}`,
      '',
      `- **What happened**: ${errorCauses[code]}`,
      `- **What to do**: ${next}`,
    ].join('\n');
  });
  return `${intro}\n${sections.join('\n\n')}\n`;
}

await writeDocument(await render(), { path: 'docs/errors.md', command: 'npm run docs:errors' });
