const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}|[\u{20000}-\u{3fffd}]/u;

/** Columns of a text on a terminal: East Asian characters and pictures take two. */
const columnsOf = (text: string): number => {
  let columns = 0;
  for (const letter of text)
    columns += /\p{M}/u.test(letter) ? 0 : letter > '\u007f' && WIDE.test(letter) ? 2 : 1;
  return columns;
};

/** The longest beginning of a word that fits, and the rest. */
function cut(word: string, columns: number): [string, string] {
  let head = '';
  for (const letter of word) {
    if (head !== '' && columnsOf(head + letter) > columns) break;
    head += letter;
  }
  return [head, word.slice(head.length)];
}

/** Lines of at most `columns`, broken at spaces, and inside a word only where it is longer than a line. */
export function wrapText(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(/\s+/u).filter((one) => one !== '')) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (columnsOf(joined) <= columns) {
      line = joined;
      continue;
    }
    if (line !== '') lines.push(line);
    while (columnsOf(word) > columns) {
      const [head, rest] = cut(word, columns);
      lines.push(head);
      word = rest;
    }
    line = word;
  }
  return line === '' ? lines : [...lines, line];
}

/** One line of at most `columns`, its end marked where something is missing. */
export function clipText(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  return `${cut(text, columns - 1)[0].trimEnd()}…`;
}
