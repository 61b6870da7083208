import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import {
  isAtLeast,
  parseVersionOutput,
  temporalPins,
} from '../../src/adapters/temporal/temporal-pins.js';

describe('the pinned Temporal releases', () => {
  it('are the ones that tools/temporal-dev builds', async () => {
    const goMod = await readFile(
      new URL('../../tools/temporal-dev/go.mod', import.meta.url),
      'utf8',
    );
    expect(goMod).toContain(`go.temporal.io/server v${temporalPins.server}\n`);
    expect(goMod).toContain(`github.com/temporalio/ui-server/v2 v${temporalPins.ui}\n`);
    const goVersion = /^go (\S+)$/m.exec(goMod)?.[1] ?? '';
    expect(goVersion.startsWith(`${temporalPins.oldestGo}.`)).toBe(true);
  });

  it('are read from the version line of the CLI and of our own program', () => {
    const expected = { serverVersion: '1.32.0', uiVersion: '2.54.1' };
    expect(parseVersionOutput('temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)\n')).toEqual(
      expected,
    );
    expect(parseVersionOutput('temporal-dev of Anneal (Server 1.32.0, UI 2.54.1)\n')).toEqual(
      expected,
    );
    expect(parseVersionOutput('tctl version 1.18.0')).toBeUndefined();
  });
});

describe('isAtLeast', () => {
  it('orders versions by number, not by letter', () => {
    expect(isAtLeast('1.29.10', '1.29.2')).toBe(true);
    expect(isAtLeast('1.9.1', '1.29.1')).toBe(false);
    expect(isAtLeast('1.26', '1.26.0')).toBe(true);
    expect(isAtLeast('1.29.1-rc.1', '1.29.1')).toBe(false);
    expect(isAtLeast('1.30.0-148.4', '1.29.1')).toBe(true);
  });

  it('holds in one direction at least, and in both for equal versions only', () => {
    const version = fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99)).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(version, version, (one, other) => {
        const [there, back] = [isAtLeast(one, other), isAtLeast(other, one)];
        expect(there || back).toBe(true);
        expect(there && back).toBe(one === other);
      }),
    );
  });
});
