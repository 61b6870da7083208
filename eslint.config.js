// eslint.config.js
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
const say = (selector, message) => ({ selector, message }),
  noDefault = say('ExportDefaultDeclaration', 'Named exports only.'),
  // Such an object has a hidden class of its own. V8 makes it in the old generation, and it keeps what it came with until a
  // full collection: one in each request was most of what the API collected.
  noGetter = say(
    'Property[kind=/^[gs]et$/]',
    'No accessors in object literals: use a method, or a class.',
  );
const messages = say(
  'CallExpression[callee.name=/^define(Signal|Update|Query)$/]',
  'Messages are defined in messages.ts.',
);
const failure = say(
  'ThrowStatement > NewExpression',
  'Workflows throw ApplicationFailure.create() or .nonRetryable() only.',
);
const pure = [
  "NewExpression[callee.name='Date'][arguments.length=0]",
  "MemberExpression[object.name='Date'][property.name='now']",
  "MemberExpression[object.name='Math'][property.name='random']",
].map((s) => say(s, 'domain has no clock and no dice: take the value as an argument.'));
// All runs of a worker share the modules of its bundle.
const state = [
  "Program > VariableDeclaration[kind='let']",
  'Program > ExportNamedDeclaration > VariableDeclaration[kind="let"]',
  ...['Program', 'Program > ExportNamedDeclaration'].map(
    (at) =>
      `${at} > VariableDeclaration > VariableDeclarator[init.callee.name=/^(Weak)?(Map|Set)$/]:not([id.typeAnnotation.typeAnnotation.typeName.name=/^Readonly/])`,
  ),
].map((s) =>
  say(
    s,
    'A module keeps no state (`let`, a Map or Set that is not Readonly): every run of a worker would share it.',
  ),
);
const lines = (max) => ['error', { max, skipBlankLines: true, skipComments: true }],
  syntax = (...s) => ({ 'no-restricted-syntax': ['error', noDefault, ...s] }),
  source = (...s) => syntax(noGetter, ...s);
const property = (object, name, message) => ({ object, property: name, message }),
  imports = (names, message) => ({
    '@typescript-eslint/no-restricted-imports': [
      'error',
      { paths: names.map((name) => ({ name, message, allowTypeImports: true })) },
    ],
  });
export default defineConfig(
  globalIgnores(['dist/**', '.anneal/**', 'src/adapters/postgres/generated/**']),
  tseslint.configs.recommendedTypeChecked,
  { files: ['**/*.{js,mjs,cjs}'], extends: [tseslint.configs.disableTypeChecked] },
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      ...syntax(),
      'max-lines': lines(400),
      'max-lines-per-function': lines(70),
      'max-params': ['error', 3],
      'no-console': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      'no-restricted-globals': [
        'error',
        { name: 'fetch', message: 'Take the egress fetch as an argument.' },
      ],
      'no-restricted-properties': [
        'error',
        property('process', 'env', 'Read configuration in src/config.ts.'),
        property('process', 'exit', 'Use the stop sequence.'),
        property('jest', 'mock', 'Pass a fake as an argument.'),
        property('jest', 'unstable_mockModule', 'Pass a fake as an argument.'),
      ],
    },
  },
  { files: ['src/**/*.ts'], rules: source() },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/adapters/egress/**', 'src/main/**'],
    rules: imports(['undici', 'node:http', 'node:https'], 'Outbound calls go through the egress.'),
  },
  {
    files: ['src/{domain,workflows}/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^node:', message: 'Sandboxed code has no Node built-ins: use an activity.' },
          ],
        },
      ],
      'no-restricted-globals': [
        'error',
        'fetch',
        'process',
        'crypto',
        'performance',
        'setInterval',
        'WeakRef',
        'FinalizationRegistry',
      ],
    },
  },
  { files: ['src/domain/digest.ts'], rules: { 'no-restricted-imports': 'off' } },
  { files: ['src/domain/**/*.ts'], rules: source(...pure, ...state) },
  {
    files: ['src/workflows/**/*.ts'],
    rules: { 'max-lines': lines(250), ...source(failure, messages, ...state) },
  },
  { files: ['src/workflows/*/messages.ts'], rules: source(...state) },
  {
    files: ['src/{cli,main}/**/*.ts', 'test/support/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  { files: ['src/main/**/*.ts', 'bench/**/*.ts'], rules: { 'no-restricted-globals': 'off' } },
  { files: ['src/api/app.ts'], rules: { 'max-params': 'off' } },
  {
    files: ['src/config.ts', '*.config.ts', 'test/support/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  { files: ['*.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: ['src/adapters/egress/**/*.ts', 'test/**/*.ts'],
    rules: { 'no-restricted-globals': 'off' },
  },
  {
    files: ['test/**/*.test.ts'],
    rules: {
      'max-lines-per-function': 'off',
      ...imports(
        ['node:timers/promises', 'timers/promises'],
        'No sleeps: await a result or eventually().',
      ),
    },
  },
);
