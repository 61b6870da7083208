import ts from 'typescript';
import { commentsOf, walk, type SourceFile } from './source-tree.js';

/** The value below which a share of the values lies (nearest rank); 0 for none. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

const linesOf = (text: string): number => text.split('\n').filter((line) => line.trim()).length;

interface Sizes {
  lines: number;
  functions: number[];
  parameters: number[];
  localImports: number;
  commentLines: number;
  anys: number;
}

function sizesOf(file: SourceFile): Sizes {
  const functions: number[] = [];
  const parameters: number[] = [];
  let localImports = 0;
  let anys = 0;
  walk(file.ast, (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) anys += 1;
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      if (node.moduleSpecifier.text.startsWith('.')) localImports += 1;
    }
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return;
    functions.push(linesOf(node.getText()));
    parameters.push(node.parameters.length);
  });
  const commentLines = commentsOf(file).reduce((sum, { text }) => sum + linesOf(text), 0);
  return { lines: linesOf(file.text), functions, parameters, localImports, commentLines, anys };
}

/** The size profile of the sources: measured values beside their targets, one line each. */
export function sizeProfile(sources: SourceFile[], tests: SourceFile[]): string[] {
  const all = sources.map(sizesOf);
  const pick = (of: (sizes: Sizes) => number) => all.map(of);
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const files = pick(({ lines }) => lines);
  const functions = all.flatMap((sizes) => sizes.functions);
  const parameters = all.flatMap((sizes) => sizes.parameters);
  const imports = pick(({ localImports }) => localImports);
  const testLines = sum(tests.map(({ text }) => linesOf(text)));
  const spread = (values: number[]) =>
    `median ${percentile(values, 0.5)}, p90 ${percentile(values, 0.9)}, largest ${percentile(values, 1)}`;
  const crowded = sources.filter(
    ({ path }, at) => (imports[at] ?? 0) > 12 && !path.startsWith('src/main/'),
  );
  return [
    `files ${files.length}, lines: ${spread(files)} (targets 60, 200; limit 400)`,
    `functions ${functions.length}, lines: ${spread(functions)} (targets 12, 45; limit 70)`,
    `parameters: ${spread(parameters)} (limit 3)`,
    `local imports a file: ${spread(imports)} (targets 2, 7)`,
    ...crowded.map(({ path }) => `  to review, more than 12 local imports: ${path}`),
    `any: ${sum(pick(({ anys }) => anys))}`,
    `test lines : source lines ${(testLines / sum(files)).toFixed(2)} (target 1–2)`,
    `comment share ${((100 * sum(pick(({ commentLines }) => commentLines))) / sum(files)).toFixed(1)} % (target 5–10 %)`,
  ];
}
