/** Edits between two words: insert, delete, replace, or swap two neighbours (optimal string alignment). */
function distanceOf(a: string, b: string): number {
  const [from, to] = [[...a], [...b]];
  let above: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [i, letter] of from.entries()) {
    const next = [i + 1];
    for (const [j, other] of to.entries()) {
      const isSwap = i > 0 && j > 0 && letter === to[j - 1] && from[i - 1] === other;
      next.push(
        Math.min(
          (row[j] ?? 0) + (letter === other ? 0 : 1),
          (row[j + 1] ?? 0) + 1,
          (next[j] ?? 0) + 1,
          isSwap ? (above[j - 1] ?? 0) + 1 : Infinity,
        ),
      );
    }
    above = row;
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** The word that was probably meant: at most a third of it, and three letters, are different. */
export function nearestOf(meant: string, words: readonly string[]): string | undefined {
  const [best] = words
    .map((word) => ({ word, distance: distanceOf(meant.toLowerCase(), word.toLowerCase()) }))
    .filter(({ word, distance }) => distance <= Math.min(3, Math.ceil(word.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  return best?.word;
}
