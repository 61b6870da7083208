import { defineConfig } from 'prisma/config';

// The folder, not the file: naming the file would skip prisma/models in silence.
export default defineConfig({ schema: 'prisma' });
