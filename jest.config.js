// jest.config.js — node --import tsx node_modules/jest/bin/jest.js --selectProjects unit
const project = (suffix) => ({
  displayName: suffix,
  testMatch: [`<rootDir>/test/**/*.${suffix}.test.ts`],
  testEnvironment: '<rootDir>/test/support/jest/native-environment.mjs',
  runtime: '<rootDir>/test/support/jest/native-runtime.mjs',
});
// Speed is for benchmarks: a busy machine must not fail a test.
export default {
  testTimeout: 60_000,
  projects: ['unit', 'slow', 'workflow', 'api', 'replay', 'e2e', 'drill'].map(project),
  reporters: ['default', '<rootDir>/test/support/time-reporter.mjs'],
};
