import type { Route } from '../route.js';
import type { FeedbackRouteDeps } from './feedback-route-deps.js';
import { getFeedback } from './get-feedback.js';
import { postFeedback } from './post-feedback.js';

export type { FeedbackRouteDeps } from './feedback-route-deps.js';

/** The endpoints of `feedback`. */
export const feedbackRoutes = (deps: FeedbackRouteDeps): Route[] => [
  postFeedback(deps),
  getFeedback(deps),
];
