/** How requests share a round trip. */
export interface BatcherOptions<Item, Result> {
  /** One call for many items of one tenant; answers in the order of the items. */
  call: (tenant: string, items: Item[]) => Promise<Result[]>;
  /** Items of one call at most. */
  maxItems: number;
  /** How long an item waits for company while a call of its tenant is under way, in milliseconds. */
  windowMs: number;
  /** True for an error that every item would meet: nothing is gained by asking one by one. */
  isOutage: (error: unknown) => boolean;
}

interface Waiting<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

interface Lane<Item, Result> {
  queue: Waiting<Item, Result>[];
  running: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Gathers items per tenant, never two tenants in a call (row-level security). An idle tenant's item leaves at once;
 * while a call is under way the next ones gather until it returns, the window ends or the batch is full. A batch that
 * fails for one of its items is asked again one by one, so that no request pays for another.
 */
export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>) {
  const lanes = new Map<string, Lane<Item, Result>>();

  const alone = async (tenant: string, waiting: Waiting<Item, Result>): Promise<void> => {
    try {
      const [result] = await options.call(tenant, [waiting.item]);
      if (result === undefined) throw new Error('the store answered nothing');
      waiting.resolve(result);
    } catch (error) {
      waiting.reject(error);
    }
  };
  const together = async (tenant: string, batch: Waiting<Item, Result>[]): Promise<void> => {
    try {
      const results = await options.call(
        tenant,
        batch.map(({ item }) => item),
      );
      for (const [at, { resolve, reject }] of batch.entries()) {
        const result = results[at];
        if (result === undefined) reject(new Error('the store answered too little'));
        else resolve(result);
      }
    } catch (error) {
      if (batch.length > 1 && !options.isOutage(error)) {
        await Promise.all(batch.map((waiting) => alone(tenant, waiting)));
      } else {
        for (const { reject } of batch) reject(error);
      }
    }
  };
  const send = (tenant: string, lane: Lane<Item, Result>): void => {
    clearTimeout(lane.timer);
    lane.timer = undefined;
    const batch = lane.queue.splice(0, options.maxItems);
    if (batch.length === 0) return;
    lane.running++;
    void together(tenant, batch).finally(() => {
      lane.running--;
      if (lane.queue.length > 0) send(tenant, lane);
      else if (lane.running === 0) lanes.delete(tenant);
    });
  };
  return (tenant: string, item: Item): Promise<Result> =>
    new Promise((resolve, reject) => {
      const lane = lanes.get(tenant) ?? { queue: [], running: 0, timer: undefined };
      lanes.set(tenant, lane);
      lane.queue.push({ item, resolve, reject });
      if (lane.running === 0 || lane.queue.length >= options.maxItems) send(tenant, lane);
      else lane.timer ??= setTimeout(() => send(tenant, lane), options.windowMs);
    });
}
