/** Edits (insert, delete, replace) between two words. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries())
      next.push(
        Math.min(
          (row[j] ?? 0) + (letter === other ? 0 : 1),
          (row[j + 1] ?? 0) + 1,
          (next[j] ?? 0) + 1,
        ),
      );
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** The word that was probably meant: at most a third of it, and three letters, are different. */
export function nearestOf(meant: string, words: readonly string[]): string | undefined {
  const [best] = words
    .map((word) => ({ word, distance: distanceOf(meant, word) }))
    .filter(({ word, distance }) => distance <= Math.min(3, Math.ceil(word.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  return best?.word;
}
