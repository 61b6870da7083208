import { z } from 'zod';
import { environmentSchema } from '../environment.js';
import { markdownTable, writeDocument } from './write-document.js';

// Writes docs/configuration.md from the configuration schema; with `--check` it only compares.

const propertySchema = z.object({
  description: z.string(),
  default: z.union([z.string(), z.number()]).optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
});

const intro = `# Configuration

<!-- Generated from src/environment.ts by \`npm run docs:configuration\`; edit the descriptions there. -->

Every variable that Anneal reads from its environment. An empty variable counts as unset; a value out of its range, or two
that contradict each other, stop the process at boot with every reason at once. \`npm start\` needs none of them.

- \`TEMPORAL_*\` beyond those below (TLS, API key, \`TEMPORAL_CONFIG_FILE\`, \`TEMPORAL_PROFILE\`) are read by Temporal's own
  client configuration, \`OTEL_*\` by OpenTelemetry once \`ANNEAL_OTEL\` is \`on\`.
- Names end in their unit: \`MS\` milliseconds, \`BYTES\` bytes, \`COUNT\` a number of things.
`;

function rangeOf(property: z.infer<typeof propertySchema>): string {
  const { minimum, maximum } = property;
  if (property.enum !== undefined) return property.enum.map((value) => `\`${value}\``).join(' ');
  if (minimum === undefined || maximum === undefined) return 'text';
  return `${minimum} – ${maximum}`;
}

function render(): string {
  const { properties = {} } = z.toJSONSchema(environmentSchema);
  const rows = Object.entries(properties).map(([name, schema]) => {
    const property = propertySchema.parse(schema);
    const initial = property.default === undefined ? '' : `\`${property.default}\``;
    return [`\`${name}\``, initial, rangeOf(property), property.description];
  });
  return `${intro}\n${markdownTable([['Variable', 'Default', 'Values', 'Meaning'], ...rows])}\n`;
}

await writeDocument(render(), {
  path: 'docs/configuration.md',
  command: 'npm run docs:configuration',
});
