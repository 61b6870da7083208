// Prints the SQL that leads from a database to prisma/: `node scripts/diff-schema.mjs <database url>`.
// An empty scratch database gives the whole schema. Exit code 0: no difference; 2: a difference, printed. The engine is Prisma's own, as WebAssembly, so
// that neither authoring nor checking a migration downloads anything.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import { PrismaPg } from '@prisma/adapter-pg';
import { SchemaEngine } from '@prisma/schema-engine-wasm';

const [from] = process.argv.slice(2);
if (from === undefined) {
  console.error('usage: node scripts/diff-schema.mjs <database url>');
  process.exit(64);
}
const root = new URL('..', import.meta.url).pathname;
const models = join(root, 'prisma/models');
const paths = [
  join(root, 'prisma/schema.prisma'),
  ...readdirSync(models)
    .sort()
    .map((name) => join(models, name)),
];
const files = paths.map((path) => ({ path, content: readFileSync(path, 'utf8') }));

// The catalogue has columns of Postgres's one-byte "char" (type 18), which the adapter does not know: read them as text
// (type 25) and tell the engine that they are characters.
class CatalogueReader extends PrismaPg {
  async connect() {
    const connection = await super.connect();
    const performIO = connection.performIO.bind(connection);
    const queryRaw = connection.queryRaw.bind(connection);
    const characters = new Map();
    connection.performIO = async (query) => {
      const found = await performIO(query);
      characters.set(
        query,
        found.fields.map((field) => field.dataTypeID === 18),
      );
      for (const field of found.fields) if (field.dataTypeID === 18) field.dataTypeID = 25;
      return found;
    };
    connection.queryRaw = async (query) => {
      const found = await queryRaw(query);
      const flags = characters.get(query);
      characters.delete(query);
      const columnTypes = found.columnTypes.map((type, i) =>
        flags?.[i] ? ColumnTypeEnum.Character : type,
      );
      return { ...found, columnTypes };
    };
    return connection;
  }
}
// The engine reports a panic through this hook.
globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (message) => console.error(message) };
const adapter = bindMigrationAwareSqlAdapterFactory(new CatalogueReader(from));
const engine = await SchemaEngine.new(
  { datamodels: files.map((file) => [file.path, file.content]) },
  () => {},
  adapter,
);
const result = await engine.diff({
  from: { tag: 'schemaDatasource', files, configDir: join(root, 'prisma') },
  to: { tag: 'schemaDatamodel', files },
  script: true,
  exitCode: true,
  shadowDatabaseUrl: null,
  filters: { externalTables: ['public._prisma_migrations'], externalEnums: [] },
});
if (result.exitCode !== 0) process.stdout.write(`${result.stdout ?? ''}\n`);
process.exit(result.exitCode === 0 ? 0 : 2);
