import type { Probe } from '../cli/doctor.js';
import type { Config } from '../config.js';
import { knowledgeProbes } from './probe-knowledge.js';
import {
  artifactProbe,
  clockProbe,
  keysProbe,
  nodeProbe,
  postgresProbe,
  runtimeProbe,
  schemaProbe,
} from './probe-local.js';
import {
  namespaceProbe,
  searchAttributeProbe,
  temporalServerProbe,
  temporalSourceProbe,
  temporalUiProbe,
  tuningProbe,
} from './probe-temporal.js';

/** Everything that `anneal doctor` looks at, in the order in which it says it. */
export const doctorProbes = (config: Config): Probe[] => [
  nodeProbe(),
  temporalSourceProbe(config),
  temporalServerProbe(config),
  temporalUiProbe(config),
  namespaceProbe(config),
  searchAttributeProbe(config),
  tuningProbe(config),
  postgresProbe(config),
  schemaProbe(config),
  clockProbe(config),
  artifactProbe(config),
  runtimeProbe(),
  ...knowledgeProbes(config),
  keysProbe(config),
];
