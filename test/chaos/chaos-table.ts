import Table from 'cli-table3';

const aligns = { l: 'left', r: 'right' } as const;

/** An empty table as every harness prints it. @param align `l` or `r` for each column */
export const chaosTable = (head: string[], align: string): InstanceType<typeof Table> =>
  new Table({
    head,
    style: { head: [], border: [], compact: true },
    colAligns: [...align].map((letter) => aligns[letter as keyof typeof aligns]),
  });
