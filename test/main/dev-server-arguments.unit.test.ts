import {
  devServerArguments,
  searchAttributeTypeNames,
} from '../../src/adapters/temporal/dev-server-arguments.js';
import { compareSearchAttributes } from '../../src/adapters/temporal/register-search-attributes.js';
import { searchAttributes } from '../../src/domain/search-attributes.js';

const valuesOf = (args: string[], name: string) =>
  args.filter((_, index) => args[index - 1] === name);

describe('the arguments of the dev server', () => {
  const args = devServerArguments({
    port: 7233,
    uiPort: 8233,
    dbFilename: '/state/temporal.db',
    searchAttributes,
    dynamicConfig: { 'matching.enableFairness': false },
  });

  it('carry every setting without which a step costs 50 ms or a tenant starves', () => {
    expect(valuesOf(args, '--dynamic-config-value')).toEqual([
      'history.transferProcessorMaxPollRPS=5000',
      'history.timerProcessorMaxPollRPS=5000',
      'history.visibilityProcessorMaxPollRPS=2000',
      'history.timerProcessorMaxTimeShift="50ms"',
      'matching.numTaskqueueReadPartitions=1',
      'matching.numTaskqueueWritePartitions=1',
      'matching.enableFairness=false',
    ]);
  });

  it('keep state in the file with a write-ahead log', () => {
    expect(valuesOf(args, '--db-filename')).toEqual(['/state/temporal.db']);
    expect(valuesOf(args, '--sqlite-pragma')).toEqual(['journal_mode=wal', 'synchronous=normal']);
    expect(devServerArguments({ port: 1, uiPort: 2 })).not.toContain('--sqlite-pragma');
  });

  it('name every search attribute of the platform, within the slots of SQL visibility', () => {
    const named = valuesOf(args, '--search-attribute');
    const keys = Object.values(searchAttributes);
    expect(named).toEqual(
      keys.map(({ name, type }) => `${name}=${searchAttributeTypeNames[type]}`),
    );
    const keywords = named.filter((each) => each.endsWith('=Keyword'));
    expect(keywords.length).toBeLessThanOrEqual(10);
  });

  it('ask for no Web UI when headless', () => {
    const headless = devServerArguments({ port: 1, uiPort: 2, headless: true });
    expect(headless).toContain('--headless');
    expect(headless).not.toContain('--ui-port');
  });
});

describe('compareSearchAttributes', () => {
  it('tells a missing attribute from one that has another type', () => {
    const wanted = [
      { name: 'Tenant', type: 'KEYWORD' as const },
      { name: 'Phase', type: 'KEYWORD' as const },
      { name: 'Epoch', type: 'INT' as const },
    ];
    expect(compareSearchAttributes(wanted, { Tenant: 2, Epoch: 2 })).toEqual({
      missing: [wanted[1]],
      conflicting: [wanted[2]],
    });
  });
});
