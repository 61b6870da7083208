import { z } from 'zod';
import { renderResult } from '../render-result.js';
import { collectionSchema, findCollection } from './find-collection.js';
import { repeatable, type Session } from './open-session.js';
import { createProgress } from './progress.js';

const startedSchema = z.looseObject({
  id: z.string(),
  links: z.looseObject({ temporalUi: z.string() }),
});

/** What `etl collection reembed` was given. */
export interface ReembedOptions {
  embedder: string;
  /** Vector store; undefined: the present one. */
  sink?: string | undefined;
  /** Judged questions of the gate; undefined: no gate. */
  evalSetId?: string | undefined;
  /** Milliseconds to follow it; undefined: not at all. */
  waitMs: number | undefined;
  key?: string | undefined;
}

const PAUSE_MS = 1_000;

const outcomeSchema = z.looseObject({
  /** What a person has to decide on. */
  waitingFor: z.string().optional(),
  reason: z.string().optional(),
});
const fitSchema = z.looseObject({
  generationId: z.string(),
  state: z.string(),
  code: z.string().optional(),
});

/** How a generation stands; FITTING while its embedder learns from the collection, before there is a generation. */
async function standingOf(
  session: Session,
  of: { collectionId: string; generationId: string; wasThere: boolean },
) {
  const body = await session.get(`/v1/collections/${of.collectionId}`);
  const collection = collectionSchema.parse(body);
  const generation = collection.generations.find(({ id }) => id === of.generationId);
  const isLive = collection.liveGenerationId === of.generationId;
  const fit = fitSchema.safeParse(collection.fit).data;
  const isUnfit = fit?.generationId === of.generationId && fit.state === 'FAILED';
  const none = of.wasThere ? 'DROPPED' : isUnfit ? 'FAILED' : 'FITTING';
  const state = isLive ? 'LIVE' : (generation?.state ?? none);
  const { waitingFor, reason } = outcomeSchema.safeParse(generation?.outcome ?? {}).data ?? {};
  const why = [waitingFor, reason, isUnfit ? fit.code : undefined]
    .filter((part) => part !== undefined)
    .join(', ');
  return { state, why, isThere: generation !== undefined };
}

async function follow(
  session: Session,
  of: { collectionId: string; generationId: string; waitMs: number },
): Promise<number> {
  const { deps } = session;
  const { io } = deps;
  const say = createProgress(deps);
  const deadline = deps.nowMs() + of.waitMs;
  for (let wasThere = false; ;) {
    const { state, why, isThere } = await standingOf(session, { ...of, wasThere });
    wasThere ||= isThere;
    say(why === '' ? state : `${state} (${why})`);
    if (state === 'LIVE') return 0;
    if (state === 'FAILED') {
      io.err('No embedder could be fitted on this collection: nothing has changed.');
      return 1;
    }
    if (state === 'DROPPED') {
      io.err('It did not go live: the generation before goes on answering.');
      return 1;
    }
    if (deps.nowMs() >= deadline) {
      const seconds = of.waitMs / 1_000;
      io.err(`Still ${state} after ${seconds} s; it goes on without this command.`);
      return 1;
    }
    await deps.pause(Math.min(PAUSE_MS, deadline - deps.nowMs()));
  }
}

/** Starts a new generation under another embedder, and follows it where asked. @returns the exit code */
export async function reembedCollection(
  session: Session,
  nameOrId: string,
  { embedder, sink, evalSetId, waitMs, key: given }: ReembedOptions,
): Promise<number> {
  const { io, newKey } = session.deps;
  const { id: collectionId, name } = await findCollection(session, nameOrId);
  const key = given ?? newKey();
  const path = `/v1/collections/${collectionId}:reembed`;
  const gate = evalSetId === undefined ? undefined : { evalSetId };
  const body = JSON.stringify({ embedder, sink, gate });
  const answer = await repeatable(session, `repeat the command with --key ${key}.`, () =>
    session.send({ method: 'POST', path, body, key }),
  );
  const { id: generationId, links } = startedSchema.parse(answer);
  if (session.output === 'json') io.out(renderResult(io, 'json', answer));
  else {
    io.out(`Generation ${generationId} of ${name} is built with ${embedder}.`);
    io.out(
      gate === undefined
        ? 'The present one answers until the new one holds everything; it is held for a way back. No gate: --eval-set names one.'
        : 'The present one answers until the gate passes; it is held for a way back.',
    );
  }
  io.err(`  ${links.temporalUi}`);
  return waitMs === undefined ? 0 : follow(session, { collectionId, generationId, waitMs });
}
