import { basename } from 'node:path';
import ts from 'typescript';
import {
  commentsOf,
  exportsOf,
  kebab,
  parseSource,
  walk,
  type Comment,
  type SourceFile,
} from './source-tree.js';

// The rules of the tidy test. Each takes what it judges and answers problems, so that the test can plant one.

/** The capabilities in lifecycle order, as every list of them is sorted. */
export const lifecycleOrder = [
  ...['access', 'admission', 'audit', 'datasets', 'etl', 'retrieval', 'features'],
  ...['training', 'registry', 'evaluation', 'approval', 'release'],
  ...['inference', 'prompts', 'budgets', 'cache', 'pii', 'decisions', 'feedback'],
  ...['monitoring', 'erasure', 'events', 'incidents', 'reconcile', 'backup'],
];

/** First cells, in backticks, of the Markdown table whose first column is headed `Capability`. */
export function capabilityTable(markdown: string): string[] {
  const lines = markdown.split('\n');
  const head = lines.findIndex((line) => /^\|\s*Capability\s*\|/i.test(line));
  if (head < 0) return [];
  const rows = lines.slice(head + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows
    .slice(0, end < 0 ? rows.length : end)
    .map((line) => /^\|\s*\[?`([a-z]+)`/.exec(line)?.[1] ?? `unreadable row: ${line}`);
}

/** What is wrong between the capability folders and the README table. */
export function capabilityProblems(folders: string[], table: string[]): string[] {
  const sorted = lifecycleOrder.filter((name) => table.includes(name));
  return [
    ...folders
      .filter((name) => !table.includes(name))
      .map((name) => `folder ${name} is missing from the capability table`),
    ...table
      .filter((name) => !folders.includes(name))
      .map((name) => `${name} is in the capability table and has no folder`),
    ...(sorted.join() === table.join() ? [] : [`the order is ${sorted.join(', ')}`]),
  ];
}

/** Messages whose wire name is not their identifier without its suffix. */
export function wireNameProblems(file: SourceFile): string[] {
  const problems: string[] = [];
  walk(file.ast, (node) => {
    if (!ts.isVariableDeclaration(node) || node.initializer === undefined) return;
    if (!ts.isCallExpression(node.initializer)) return;
    const kind = /^define(Signal|Update|Query)$/.exec(node.initializer.expression.getText())?.[1];
    const [wire] = node.initializer.arguments;
    if (kind === undefined) return;
    const wireName = wire !== undefined && ts.isStringLiteral(wire) ? wire.text : '(no literal)';
    if (node.name.getText() !== `${wireName}${kind}`) {
      problems.push(`${file.path}: ${node.name.getText()} is called ${wireName} on the wire`);
    }
  });
  return problems;
}

function objectOf(node: ts.ConciseBody | undefined): ts.ObjectLiteralExpression | undefined {
  if (node === undefined) return undefined;
  if (ts.isParenthesizedExpression(node)) return objectOf(node.expression);
  if (ts.isObjectLiteralExpression(node)) return node;
  if (!ts.isBlock(node)) return undefined;
  const last = node.statements.findLast(ts.isReturnStatement);
  return objectOf(last?.expression);
}

/** Names of the activities that a file's `create…Activities` factories return. */
export function activityNames(file: SourceFile): string[] {
  const names: string[] = [];
  const note = (name: string, body: ts.ConciseBody | undefined) => {
    const object = objectOf(body);
    if (object === undefined) throw new Error(`${file.path}: ${name} returns no object literal`);
    for (const property of object.properties) {
      if (property.name === undefined) throw new Error(`${file.path}: ${name} spreads an object`);
      names.push(property.name.getText());
    }
  };
  for (const statement of file.ast.statements) {
    if (ts.isFunctionDeclaration(statement)) {
      const name = statement.name?.text ?? '';
      if (/^create\w+Activities$/.test(name)) note(name, statement.body);
    } else if (ts.isVariableStatement(statement)) {
      for (const { name, initializer } of statement.declarationList.declarations) {
        if (initializer === undefined || !ts.isArrowFunction(initializer)) continue;
        if (/^create\w+Activities$/.test(name.getText())) note(name.getText(), initializer.body);
      }
    }
  }
  return names;
}

/** Values that occur more than once. */
export const repeated = (values: string[]): string[] => [
  ...new Set(values.filter((value, at) => values.indexOf(value) !== at)),
];

/** Exported workflows that no recorded history plays; `histories` are paths below test/replay. */
export const unrecordedWorkflows = (workflows: string[], histories: string[]): string[] =>
  workflows.filter(
    (name) => !histories.some((path) => basename(path).startsWith(`${kebab(name)}.`)),
  );

const exempt = new Set(['index', 'contract', 'messages', 'errors', 'ids', 'units', 'digest']);
const stems = (name: string): string[] => name.split('-').map((word) => word.slice(0, 3));
const factoryVerb = /^(create|open|build|start)-/;
const within = (some: string[], all: string[]): boolean => some.every((word) => all.includes(word));

/**
 * A file with one export is named after it, with or without a factory's verb; one with several is named after what they
 * share. Composition roots are named after their process, a file of `adapters/postgres` may be after its capability.
 */
export function fileNameProblem(file: SourceFile): string | undefined {
  const name = basename(file.path).replace(/(\.(child|thread))?\.ts$/, '');
  const { values, types } = exportsOf(file);
  const names = [...values, ...types].map(kebab);
  if (exempt.has(name) || names.length === 0 || names.includes(name)) return undefined;
  if (file.path.startsWith('src/main/') || isNamedByCapability(file.path, name)) return undefined;
  const single = values.length <= 1 && names.length === 1;
  const fits = names.some((each) => {
    if (each.replaceAll('-', '').includes(name.replaceAll('-', ''))) return true;
    const [wanted, found] = [stems(name), stems(each)];
    const told = stems(each.replace(factoryVerb, ''));
    return single
      ? within(wanted, found) || within(told, wanted)
      : told.some((stem) => wanted.includes(stem));
  });
  return fits ? undefined : `${file.path} exports ${names.join(', ')}`;
}

function isNamedByCapability(path: string, name: string): boolean {
  const [first = ''] = name.split('-');
  return path.startsWith('src/adapters/postgres/') && lifecycleOrder.includes(first);
}

const codeKinds = new Set([
  ts.SyntaxKind.VariableStatement,
  ts.SyntaxKind.ImportDeclaration,
  ts.SyntaxKind.ExportDeclaration,
  ts.SyntaxKind.FunctionDeclaration,
  ts.SyntaxKind.ClassDeclaration,
  ts.SyntaxKind.IfStatement,
  ts.SyntaxKind.ForOfStatement,
  ts.SyntaxKind.ForStatement,
  ts.SyntaxKind.ReturnStatement,
  ts.SyntaxKind.ThrowStatement,
  ts.SyntaxKind.TryStatement,
]);
const codeExpressions = new Set([
  ts.SyntaxKind.CallExpression,
  ts.SyntaxKind.AwaitExpression,
  ts.SyntaxKind.NewExpression,
]);

// Words that open a statement or go before its first name, and words that stand between two operands.
const opening =
  'abstract accessor async await break case catch class const continue debugger declare default delete do else enum ' +
  'export extends finally for function get global if implements import interface let module namespace new package ' +
  'private protected public readonly require return set static super switch throw try type typeof unique using var ' +
  'void while with yield';
const between = 'as in instanceof satisfies';
const oneOf = (words: string): string => `(?:${words.replaceAll(' ', '|')})\\b`;
/** Two names side by side: no program begins so. The parser knows as well, but looks for the word that was meant. */
const prose = new RegExp(
  `^\\s*(?!${oneOf(opening)})[A-Za-z_$][\\w$]*[ \\t]+(?!${oneOf(between)})[A-Za-z_$]`,
);

/** True for a text that parses as TypeScript and does something; prose does not parse. */
export function isCode(text: string): boolean {
  if (prose.test(text)) return false;
  const { ast } = parseSource('comment.ts', text);
  const { parseDiagnostics } = ast as unknown as { parseDiagnostics: unknown[] };
  if (parseDiagnostics.length > 0) return false;
  return ast.statements.some((statement) => {
    if (ts.isExpressionStatement(statement)) {
      const { kind } = statement.expression;
      const assigns =
        ts.isBinaryExpression(statement.expression) &&
        statement.expression.operatorToken.kind === ts.SyntaxKind.EqualsToken;
      return text.trimEnd().endsWith(';') && (assigns || codeExpressions.has(kind));
    }
    return codeKinds.has(statement.kind);
  });
}

const at = (file: SourceFile, comment: Comment): string => `${file.path}:${comment.line}`;

/** Comments that are code, lint-disables without a reason, and TODOs without an issue number. */
export function commentProblems(file: SourceFile): string[] {
  return commentsOf(file).flatMap((comment) => {
    const problems: string[] = [];
    const { text } = comment;
    const lines = text.split('\n');
    if (comment.kind !== 'doc' && (isCode(text) || lines.some((line) => isCode(line.trim())))) {
      problems.push(`${at(file, comment)} is commented-out code`);
    }
    for (const line of lines) {
      if (/^\s*(eslint-disable|@ts-(ignore|expect-error|nocheck)|prettier-ignore)/.test(line)) {
        if (!/\s--\s+\S+/.test(line))
          problems.push(`${at(file, comment)} gives no reason after --`);
      }
      if (/\b(TODO|FIXME|XXX)\b/.test(line) && !/\bTODO\b[^\n]*#\d+/.test(line)) {
        problems.push(`${at(file, comment)} names no issue (TODO #123)`);
      }
    }
    return problems;
  });
}

const testFunctions = /^(it|test|describe|describeWithData)\b/;

/** Titles of the tests and their groups. */
export function testTitles(file: SourceFile): string[] {
  const titles: string[] = [];
  walk(file.ast, (node) => {
    if (!ts.isCallExpression(node) || !testFunctions.test(node.expression.getText())) return;
    for (const argument of node.arguments.slice(0, 2)) {
      if (ts.isStringLiteralLike(argument)) titles.push(argument.text);
      else if (ts.isTemplateExpression(argument)) titles.push(argument.getText());
    }
  });
  return titles;
}

/** The ids that titles carry: of reliability `[D26]`, `[F3, I2]`, of knowledge `[G1]`, `[W1, W2]`. */
export const taggedIds = (titles: string[]): string[] => [
  ...new Set(
    titles.flatMap((title) =>
      [...title.matchAll(/\[([DFIGW]\d+(?:,\s*[DFIGW]\d+)*)\]/g)].flatMap(([, ids]) =>
        (ids ?? '').split(/,\s*/),
      ),
    ),
  ),
];

/** Tables that a run of all migrations leaves without forced row-level security or without `tenant_id`. */
export function unguardedTables(migrations: string[]): string[] {
  const open = new Map<string, Set<string>>();
  const needs = ['enable', 'force', 'policy'];
  for (const sql of migrations) {
    for (const [, table = '', columns = ''] of sql.matchAll(
      /create table (?:if not exists )?"?(\w+)"?\s*\(([\s\S]*?)\n\s*\);/gi,
    )) {
      open.set(table, new Set(/\btenant_id\b/.test(columns) ? needs : [...needs, 'tenant_id']));
    }
    if (/FROM pg_class/i.test(sql) && /FORCE ROW LEVEL SECURITY'/i.test(sql)) {
      for (const missing of open.values()) for (const need of needs) missing.delete(need);
    }
    const statements: [string, RegExp][] = [
      ['enable', /alter table "?(\w+)"?[^;]*\benable row level security/gi],
      ['force', /alter table "?(\w+)"?[^;]*\bforce row level security/gi],
      ['policy', /create policy \w+ on "?(\w+)"?\s[^;]*app\.tenant/gi],
    ];
    for (const [need, pattern] of statements) {
      for (const [, table = ''] of sql.matchAll(pattern)) open.get(table)?.delete(need);
    }
    for (const [, table = ''] of sql.matchAll(/drop table (?:if exists )?"?(\w+)"?/gi)) {
      open.delete(table);
    }
  }
  return [...open]
    .filter(([, missing]) => missing.size > 0)
    .map(([table, missing]) => `${table} lacks ${[...missing].join(', ')}`);
}
