// Fails when package.json or package-lock.json would install something else elsewhere, or later, than here and now.
//   node scripts/check-lock.mjs [folder]
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './runtime.mjs';

const exact = /^(npm:(@[\w.-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(-[\w.-]+)?$/;
/** Packages that only work together at one version. */
const families = [
  [/^@temporalio\//, 'the Temporal SDK'],
  [/^(prisma|@prisma\/(client|adapter-pg|driver-adapter-utils))$/, 'Prisma'],
  [/^zod$/, 'zod'],
  [/^protobufjs$/, 'protobufjs 8', (version) => version.startsWith('8.')],
];

const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

/** Every version in package.json is exact: no range, no tag, no address. */
function ranges(manifest) {
  const problems = [];
  const visit = (where, entries) => {
    for (const [name, version] of Object.entries(entries ?? {})) {
      if (typeof version === 'object') visit(`${where} > ${name}`, version);
      else if (
        !exact.test(version) &&
        !(where.startsWith('overrides') && version.startsWith('$'))
      ) {
        problems.push(`${where}: ${name} is "${version}", which is not one exact version`);
      }
    }
  };
  for (const field of ['dependencies', 'devDependencies', 'optionalDependencies', 'overrides']) {
    visit(field, manifest[field]);
  }
  return problems;
}

/** npm writes a lock without the platform packages that a registry does not have yet, and `npm ci` fails elsewhere. */
function missingPlatforms(packages) {
  const present = new Set(Object.keys(packages).map(nameOf));
  return Object.entries(packages).flatMap(([path, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => path !== '' && !present.has(name))
      .map(
        ([name, version]) =>
          `${nameOf(path)}@${entry.version}: ${name}@${version} is not in the lock`,
      ),
  );
}

function splitFamilies(packages) {
  return families.flatMap(([pattern, family, counts = () => true]) => {
    const members = Object.entries(packages)
      .map(([path, { version }]) => ({ path, name: nameOf(path), version }))
      .filter(({ path, name, version }) => path !== '' && pattern.test(name) && counts(version));
    const versions = new Set(members.map(({ version }) => version));
    const paths = members.map(({ path, version }) => `${path}@${version}`);
    const copies = members.length > new Set(members.map(({ name }) => name)).size;
    return versions.size > 1 || copies
      ? [`${family} is there more than once: ${paths.join(', ')}`]
      : [];
  });
}

function outOfStep(manifest, lockedRoot) {
  return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((field) => {
    const [wanted, locked] = [manifest[field] ?? {}, lockedRoot?.[field] ?? {}];
    return [...new Set([...Object.keys(wanted), ...Object.keys(locked)])]
      .filter((name) => wanted[name] !== locked[name])
      .map(
        (name) =>
          `${field}: ${name} is ${wanted[name]} in package.json and ${locked[name]} in the lock`,
      );
  });
}

function unverifiable(packages) {
  return Object.entries(packages)
    .filter(([path, entry]) => path !== '' && !entry.link && !entry.inBundle && !entry.integrity)
    .map(([path]) => `${path} has no integrity in the lock`);
}

const folder = process.argv[2] ?? root;
const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const manifest = read('package.json');
const { packages } = read('package-lock.json');
const problems = [
  ...ranges(manifest),
  ...outOfStep(manifest, packages['']),
  ...missingPlatforms(packages),
  ...splitFamilies(packages),
  ...unverifiable(packages),
];
for (const problem of problems) console.error(problem);
if (problems.length === 0)
  console.log(`lock: ${Object.keys(packages).length - 1} packages, complete and exact`);
process.exitCode = problems.length === 0 ? 0 : 1;
