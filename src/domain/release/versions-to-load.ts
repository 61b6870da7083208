import type { FollowedTarget } from './record.js';
import { killOn, versionsIn } from './routing.js';

/** The versions that a serving process loads for a target: what serves, what it may fall back to, what comes next. */
export const versionsToLoad = ({ routing, candidates }: FollowedTarget): number[] => [
  ...new Set([...(routing === null ? [] : versionsIn(routing)), ...candidates]),
];

/**
 * The versions without which a process does not hold an epoch: those that get traffic under it. A killed version gets
 * none.
 */
export function versionsThatServe({ routing }: FollowedTarget): number[] {
  if (routing === null) return [];
  const { active, arms, kills } = routing;
  return [...(active === null ? [] : [active]), ...arms.map(({ version }) => version)].filter(
    (version) => killOn(kills, version) === undefined,
  );
}
