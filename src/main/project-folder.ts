import { fileURLToPath } from 'node:url';

/** The absolute path of a file of the project: both `src/main` and `dist/main` lie two folders below it. */
export const projectFolder = (path: string): string =>
  fileURLToPath(new URL(`../../${path}`, import.meta.url));
