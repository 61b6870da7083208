// jest.config.js — node --experimental-vm-modules node_modules/jest/bin/jest.js --selectProjects unit
const project = (suffix) => ({
  displayName: suffix,
  testMatch: [`<rootDir>/test/**/*.${suffix}.test.ts`],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
});
// Speed is for benchmarks: a busy machine must not fail a test.
export default {
  testTimeout: 60_000,
  projects: ['unit', 'slow', 'workflow', 'api', 'replay', 'e2e'].map(project),
  reporters: ['default', '<rootDir>/test/support/time-reporter.mjs'],
};
