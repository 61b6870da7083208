import { exceedsShare } from '../../domain/admission/exceeds-share.js';

/** Who has places. */
interface Holder {
  tenant: string;
  /** Absent where callers of a tenant are not told apart. */
  key?: string | undefined;
}

/** Places of one kind; what takes and gives back asks for room first. */
export function createPool(size: number) {
  let taken = 0;
  const held = new Map<string, number>();
  const change = ({ tenant, key }: Holder, by: 1 | -1): void => {
    taken += by;
    for (const id of key === undefined ? [tenant] : [tenant, `${tenant}\0${key}`]) {
      const count = (held.get(id) ?? 0) + by;
      if (count === 0) held.delete(id);
      else held.set(id, count);
    }
  };
  return {
    size,
    taken: (): number => taken,
    /** False where all places are taken, or the holder has its share of them. */
    hasRoom: ({ tenant, key }: Holder): boolean =>
      !exceedsShare({
        free: size - taken,
        ofTenant: held.get(tenant) ?? 0,
        ofKey: key === undefined ? 0 : (held.get(`${tenant}\0${key}`) ?? 0),
      }),
    take: (holder: Holder): void => change(holder, 1),
    giveBack: (holder: Holder): void => change(holder, -1),
  };
}
