import { existsSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { DockerfileParser, type Copy, type From, type Instruction } from 'dockerfile-ast';
import ts from 'typescript';
import { projectRoot, readSources, readText, walk } from '../support/source-tree.js';

// The Dockerfile is parsed, not built: no Docker engine is needed.

const text = readText('Dockerfile');
const dockerfile = DockerfileParser.parse(text);
const instructions = dockerfile.getInstructions();
const named = (keyword: string): Instruction[] =>
  instructions.filter((instruction) => instruction.getKeyword() === keyword);
const said = (keyword: string): string[] =>
  named(keyword).map((instruction) => instruction.getArgumentsContent() ?? '');
const stages = dockerfile.getFROMs();
const ignored = readText('.dockerignore').split('\n');

it('every instruction is one that Docker knows', () => {
  const known = ['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'VOLUME', 'EXPOSE'];
  const keywords = [...new Set(instructions.map((instruction) => instruction.getKeyword()))];
  expect(keywords.filter((keyword) => ![...known, 'ENTRYPOINT', 'CMD'].includes(keyword))).toEqual(
    [],
  );
});

it('the base is Debian with the Node that the project pins, and every stage comes from it', () => {
  const [base, ...others] = stages as [From, ...From[]];
  expect(base.getImage()).toBe('node:24-bookworm-slim');
  expect(others.map((stage) => stage.getImage())).toEqual(others.map(() => base.getBuildStage()));
  const { devDependencies } = JSON.parse(readText('package.json')) as {
    devDependencies: Record<string, string>;
  };
  expect(devDependencies['node']).toMatch(/^24\./);
});

it('the last stage runs as a user without rights, from a build it did not make', () => {
  const last = stages.at(-1)?.getRange()?.start.line ?? 0;
  const inLast = instructions.filter((each) => (each.getRange()?.start.line ?? 0) > last);
  const keywords = inLast.map((each) => each.getKeyword());
  expect(said('USER')).toEqual(['node']);
  expect(keywords.lastIndexOf('COPY')).toBeLessThan(keywords.indexOf('USER'));
  expect(keywords.indexOf('USER')).toBeLessThan(keywords.indexOf('ENTRYPOINT'));
  const runs = inLast.filter((each) => each.getKeyword() === 'RUN');
  for (const run of runs) expect(run.getArgumentsContent()).not.toMatch(/npm|tsc|curl|wget/);
});

it('packages come from the lock, without scripts, and the shipped ones without the tools', () => {
  const installs = said('RUN').filter((run) => run.includes('npm '));
  expect(installs).toHaveLength(2);
  for (const install of installs) expect(install).toMatch(/^npm ci .*--ignore-scripts/);
  const shipped = named('COPY').filter((each) =>
    each.getArgumentsContent()?.includes('node_modules'),
  );
  expect(shipped.map((each) => (each as Copy).getFromFlag()?.getValue())).toEqual(['dependencies']);
  expect(installs.filter((install) => install.includes('--omit=dev'))).toHaveLength(1);
});

it('the workflow bundle is built into the image, and the workers are told where it is', () => {
  expect(said('RUN').join('\n')).toContain('node dist/main/write-workflow-bundle.js');
  expect(said('ENV').join('\n')).toContain('ANNEAL_WORKFLOW_BUNDLE=/app/dist/workflow-bundle.js');
});

it('every file that is copied from the project is there and is let through to the build', () => {
  const copied = named('COPY')
    .filter((each) => (each as Copy).getFromFlag() == null)
    .flatMap((each) => each.getArguments().slice(0, -1))
    .map((argument) => argument.getValue());
  expect(copied.length).toBeGreaterThan(5);
  for (const path of copied) {
    const [top = ''] = path.split('/');
    expect(ignored).toContain(`!${top}`);
    expect({ path, there: existsSync(join(projectRoot, path)) }).toEqual({ path, there: true });
  }
});

it('the image holds no secret', () => {
  expect(ignored[1]).toBe('*');
  expect(text).not.toMatch(/PASSWORD|SECRET|API_KEY|TOKEN/);
});

it('every package that the sources import is a dependency of production', () => {
  const manifest = JSON.parse(readText('package.json')) as Record<string, Record<string, string>>;
  const shipped = { ...manifest['dependencies'], ...manifest['optionalDependencies'] };
  const imported = new Set<string>();
  for (const { ast } of readSources('src')) {
    walk(ast, (node) => {
      if (!ts.isImportDeclaration(node) || node.importClause?.isTypeOnly) return;
      if (ts.isStringLiteral(node.moduleSpecifier)) imported.add(node.moduleSpecifier.text);
    });
  }
  const packages = [...imported]
    .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
    .map((name) =>
      name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  expect(packages.length).toBeGreaterThan(10);
  const missing = [...new Set(packages)].filter((name) => !Object.hasOwn(shipped, name));
  expect(missing.filter((name) => !builtinModules.includes(name))).toEqual([]);
});
