import { createAuthoriseStart, type AuthoriseStartDeps } from './authorise-start.js';

/** What the activities of `events` ask for. */
export type EventsDeps = AuthoriseStartDeps;

/** Activities of `events`: the guard that every workflow passes first. */
export const createEventsActivities = (deps: EventsDeps) => ({
  authoriseStart: createAuthoriseStart(deps),
});
