/** Words that carry no meaning of their own; taken out before stemming (etl.md §9). Part of `hash-384` v1 and `lsa` v2. */
export const stopWords: ReadonlySet<string> = new Set(
  (
    'a an and are as at be but by for if in into is it no not of on or such that the their then there these they ' +
    'this to was will with'
  ).split(' '),
);
