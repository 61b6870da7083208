import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';

/** The folder of package.json. */
export const projectRoot = new URL('../..', import.meta.url).pathname;

const generated = /(^|\/)(generated|node_modules|dist|results)(\/|$)/;

/** A TypeScript or JavaScript file, parsed; `path` is relative to the project. */
export interface SourceFile {
  path: string;
  text: string;
  ast: ts.SourceFile;
}

/** Parses a text as if it lay under `path`. */
export const parseSource = (path: string, text: string): SourceFile => ({
  path,
  text,
  ast: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true),
});

/** Paths of all files below a folder of the project, sorted; generated ones are left out. */
export function listFiles(folder: string, ending: RegExp): string[] {
  const start = join(projectRoot, folder);
  if (!existsSync(start)) return [];
  return readdirSync(start, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
    .filter((path) => !generated.test(path))
    .sort();
}

/** The text of a file of the project; empty where it does not exist. */
export const readText = (path: string): string =>
  existsSync(join(projectRoot, path)) ? readFileSync(join(projectRoot, path), 'utf8') : '';

/** All sources below a folder, parsed. */
export const readSources = (folder: string, ending = /\.ts$/): SourceFile[] =>
  listFiles(folder, ending).map((path) => parseSource(path, readText(path)));

/** Calls `visit` for every node of a file. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** A comment and the line it begins on. */
export interface Comment {
  line: number;
  text: string;
  kind: 'line' | 'block' | 'doc';
}

/** Every comment of a file. Neighbouring line comments are one, because commented-out code spans lines. */
export function commentsOf({ ast, text }: SourceFile): Comment[] {
  const found = new Map<number, ts.CommentRange>();
  const note = (range: ts.CommentRange) => found.set(range.pos, range);
  walk(ast, (node) => {
    if (ts.isJsxText(node)) return;
    for (const range of ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []) note(range);
    for (const range of ts.getTrailingCommentRanges(text, node.getEnd()) ?? []) note(range);
  });
  const comments: Comment[] = [];
  let lastLine = -2;
  for (const range of [...found.values()].sort((a, b) => a.pos - b.pos)) {
    const line = ast.getLineAndCharacterOfPosition(range.pos).line + 1;
    const raw = text.slice(range.pos, range.end);
    const previous = comments.at(-1);
    if (range.kind === ts.SyntaxKind.SingleLineCommentTrivia) {
      const body = raw.replace(/^\/\/ ?/, '');
      if (previous?.kind === 'line' && lastLine === line - 1) previous.text += `\n${body}`;
      else comments.push({ line, text: body, kind: 'line' });
      lastLine = line;
    } else {
      const body = raw.replace(/^\/\*+|\*+\/$/g, '').replace(/^[ \t]*\* ?/gm, '');
      comments.push({ line, text: body, kind: raw.startsWith('/**') ? 'doc' : 'block' });
    }
  }
  return comments;
}

/** Names that a file exports; values and types apart. */
export function exportsOf({ ast }: SourceFile): { values: string[]; types: string[] } {
  const values: string[] = [];
  const types: string[] = [];
  for (const statement of ast.statements) {
    if (ts.isExportDeclaration(statement)) {
      if (statement.exportClause === undefined || !ts.isNamedExports(statement.exportClause)) {
        continue;
      }
      for (const element of statement.exportClause.elements) {
        (statement.isTypeOnly || element.isTypeOnly ? types : values).push(element.name.text);
      }
      continue;
    }
    const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
    if (!modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue;
    if (ts.isVariableStatement(statement)) {
      for (const declaration of statement.declarationList.declarations) {
        values.push(declaration.name.getText());
      }
    } else if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) {
      types.push(statement.name.text);
    } else if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
      if (statement.name !== undefined) values.push(statement.name.text);
    }
  }
  return { values, types };
}

/** `awaitApproval` → `await-approval`; a run of capitals is one word. */
export const kebab = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase();
