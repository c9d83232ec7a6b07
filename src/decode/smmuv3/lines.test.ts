/** Lines of SMMUv3 as bug reports and commit messages have them. */
import { describe, expect, test } from 'vitest';
import { ids, only } from '../../../test/explained.ts';
import { CERROR } from '../../iommu/smmuv3/commands.ts';
import { EVENTS, GLOBAL_ERRORS } from '../../iommu/smmuv3/events.ts';
import { explain } from '../index.ts';
import { commandSuspects, globalSuspects, suspectsOf } from './suspects.ts';

/** The head of an event and its four words. */
const event = (id: string, words: readonly string[], unit = 'arm-smmu-v3 arm-smmu-v3.2.auto:') => [
  `[  478.907684] ${unit} event ${id} received:`,
  ...words.map((word) => `[  478.91] ${unit} \t${word}`),
];

/** Of an NVMe endpoint function that raised MSI-X through a window that was gone. */
const ENDPOINT = ['0x0000010000000010', '0x0000020000000000', '0x000000090000f040', '0x0000000000000000'];

describe('an event as words (up to Linux 6.12)', () => {
  test('0x10 is F_TRANSLATION, whatever DC-DeepComputing #49 calls it', () => {
    const finding = only(...event('0x10', ENDPOINT));
    expect(finding).toMatchObject({
      kind: 'smmuv3.event',
      requester: { text: 'sid 0x100', id: 0x100, pasid: null },
      access: 'write',
      address: { value: 0x90000f040n, space: 'IOVA' },
      code: { value: 0x10, name: 'F_TRANSLATION', clause: 'SMMUv3 7.3.13' },
    });
    expect(finding.structures.map(({ kind, name }) => [kind, name])).toEqual([['smmuv3.event', 'F_TRANSLATION']]);
    expect(ids(finding).slice(0, 2)).toEqual(['unmap-before-completion', 'never-mapped']);
  });

  test('with a stall: STAG 0x7f waits', () => {
    const finding = only(
      ...event('0x10', ['0x0000310200000010', '0x000002088000007f', '0x0000000000000000', '0x0000000000000000']),
    );
    expect(finding).toMatchObject({ requester: { id: 0x3102 }, access: 'read', address: { value: 0n } });
    expect(Object.fromEntries(finding.details)).toMatchObject({ STAG: '0x7f', stalled: expect.any(String) });
    expect(ids(finding).slice(0, 2)).toEqual(['stalled', 'never-mapped']);
  });

  test('of a bit that the specification has not: it is told (HiSilicon)', () => {
    const finding = only(
      ...event('0x10', ['0x00007d0000000010', '0x0000020900000080', '0x00000000f47cf000', '0x00000000f47cf000']),
    );
    expect(finding.access).toBe('read');
    expect(finding.structures[0].reserved).toContainEqual({ hi: 96, lo: 96 });
  });

  test('C_BAD_STREAMID: a device that firmware gives to no SMMU', () => {
    const finding = only(...event('0x02', ['0x0000090000000002', '0x0', '0x0', '0x0'].map(padded)));
    expect(finding).toMatchObject({ code: { name: 'C_BAD_STREAMID' }, requester: { id: 0x900 }, address: null });
    expect(ids(finding)[0]).toBe('firmware-ids');
  });

  test("in Xen's log, a write to the ITS: the doorbell of MSIs", () => {
    const finding = only(
      ...event(
        '0x10',
        ['0x0000000800000010', '0x0000008000000000', '0x0000000008090040', '0x0000000000000000'],
        '(XEN) SMMUv3: /smmuv3@9050000:',
      ),
    );
    // Stage 2; and QEMU, whose event it is, has CLASS = CD there.
    expect(finding).toMatchObject({ access: 'write', address: { value: 0x8090040n } });
    expect(ids(finding)[0]).toBe('msi-doorbell');
    expect(Object.fromEntries(finding.details)).toMatchObject({ IPA: '0x0', stage: 'stage 2' });
  });

  test('with a PASID', () => {
    const finding = only(
      ...event('0x13', ['0x0000310200005813', '0x0000020200000000', '0x0000ffff81234000', '0x0000000000000000']),
    );
    expect(finding).toMatchObject({
      code: { name: 'F_PERMISSION' },
      requester: { id: 0x3102, pasid: 5 },
    });
    expect(ids(finding)[0]).toBe('process-memory');
  });

  test('a word that a mail broke', () => {
    expect(
      only(...event('0x10', ['0x00000180 00000010', '0x0000020100000000', '0x00000000ffffe040', '0x00000000ffffe000']))
        .requester,
    ).toMatchObject({ id: 0x180 });
  });

  test('without its words only the number is told', () => {
    const finding = only(...event('0x10', []));
    expect(finding).toMatchObject({ requester: null, address: null, structures: [], code: { name: 'F_TRANSLATION' } });
  });

  test('of another number than its words: they are not taken for it', () => {
    expect(only(...event('0x11', ENDPOINT))).toMatchObject({ code: { name: 'F_ADDR_SIZE' }, structures: [] });
  });

  test('of the implementation, and of nobody', () => {
    expect(only(...event('0xe3', ENDPOINT)).code).toMatchObject({ name: 'IMPDEF_EVENT' });
    expect(only(...event('0x7f', ENDPOINT)).code).toMatchObject({ name: 'event', clause: null });
  });

  test("another driver's event is none", () => {
    expect(explain('foo 0000:01:00.0: event 0x10 received:').groups).toEqual([]);
  });
});

const padded = (word: string) => `0x${word.slice(2).padStart(16, '0')}`;

describe('an event by name (since Linux 6.13)', () => {
  const UNIT = 'arm-smmu-v3 fc900000.iommu:';
  const NAMED = `${UNIT} event: F_TRANSLATION client: 0000:01:00.0 sid: 0x100 ssid: 0x0 iova: 0x90000f040 ipa: 0x0`;
  const TRIED = `${UNIT} unpriv data write s1 "Input address caused fault" stag: 0x0`;

  test('is one finding with its words, and has the name of the device', () => {
    const finding = only(...event('0x10', ENDPOINT, UNIT), NAMED, TRIED);
    expect(finding).toMatchObject({ requester: { text: '0000:01:00.0', id: 0x100 }, access: 'write' });
    expect(Object.fromEntries(finding.details)).toMatchObject({ client: '0000:01:00.0', unit: 'fc900000.iommu' });
  });

  test('two in a row are two', () => {
    const one = [...event('0x10', ENDPOINT, UNIT), NAMED, TRIED];
    expect(explain([...one, ...one].join('\n')).groups.map(({ count }) => count)).toEqual([2]);
  });

  test('without its words says the same', () => {
    const finding = only(NAMED, TRIED);
    const whole = only(...event('0x10', ENDPOINT, UNIT), NAMED, TRIED);
    const { access, address, causes, code, requester, summary } = whole;
    expect(finding).toMatchObject({ access, address, causes, code, requester, summary });
  });

  test('of a fetch, and of a device that Linux does not know', () => {
    const fetch = only(
      `${UNIT} event: F_STE_FETCH client: (unassigned sid) sid: 0x900 ssid: 0x0 fetch_addr: 0x8000000000`,
    );
    expect(fetch).toMatchObject({
      requester: { text: 'sid 0x900' },
      address: { value: 0x8000000000n, space: 'physical' },
    });
    const bad = only(`${UNIT} event: C_BAD_STREAMID client: (unassigned sid) sid: 0x900 ssid: 0x0`);
    expect(bad).toMatchObject({ code: { value: 2 }, address: null, access: null });
  });

  test('a stalled read of a table', () => {
    const finding = only(
      `${UNIT} event: F_TRANSLATION client: 0000:75:00.0 sid: 0x7500 ssid: 0x1 iova: 0x1000 ipa: 0x2000`,
      `${UNIT} priv inst read s2 "Stage 1 translation table fetch" ttd_read stall stag: 0x1f`,
    );
    expect(finding).toMatchObject({ access: 'execute', requester: { pasid: 1 } });
    expect(Object.fromEntries(finding.details)).toMatchObject({ IPA: '0x2000', STAG: '0x1f', stage: 'stage 2' });
    expect(ids(finding).slice(0, 2)).toEqual(['stalled', 'table-unreadable']);
  });
});

describe('the command queue', () => {
  const LINES = [
    'arm-smmu-v3 arm-smmu-v3.0.auto: CMDQ error (cons 0x01000022): Illegal command',
    'arm-smmu-v3 arm-smmu-v3.0.auto: skipping command in error state:',
    'arm-smmu-v3 arm-smmu-v3.0.auto: \t0x0000000100000040',
    'arm-smmu-v3 arm-smmu-v3.0.auto: \t0x0000000000000034',
  ];

  test('an error, its command decoded', () => {
    const finding = only(...LINES);
    expect(finding.summary).toBe(`the command queue stopped: CMD_ATC_INV: ${CERROR[1].text}`);
    expect(finding).toMatchObject({ code: { value: 1, name: 'CERROR_ILL' } });
    expect(Object.fromEntries(finding.details)).toMatchObject({ index: '0x22' });
    expect(finding.structures[0].fields.find(({ name }) => name === 'Size')?.value).toBe(52n);
  });

  test('of a reserved opcode: it is named as such', () => {
    const finding = only(LINES[0], LINES[1], ...['0x0', '0x0'].map((word) => `arm-smmu-v3 x: ${padded(word)}`));
    expect(finding.summary).toContain('opcode 0x0, which is reserved');
    expect(finding.structures).toEqual([]);
  });

  test('the command alone', () => {
    expect(only(...LINES.slice(1)).summary).toBe('a command that the SMMU refused was skipped: CMD_ATC_INV');
  });

  test('a device that does not answer', () => {
    expect(ids(only('arm-smmu-v3 arm-smmu-v3.0.auto: CMDQ error (cons 0x03000022): ATC invalidate timeout'))).toEqual([
      'invalidation-timeout',
    ]);
  });

  test('a CMD_SYNC that does not complete, old and new', () => {
    expect(only('arm-smmu-v3 b0000000.iommu: CMD_SYNC timeout').causes[0]).toMatchObject({ id: 'queue-stuck' });
    const finding = only(
      'arm-smmu-v3 b0000000.iommu: CMD_SYNC timeout at 0x000000d2 [hwprod 0x000000d3, hwcons 0x030000d1]',
    );
    expect(Object.fromEntries(finding.details)).toMatchObject({ CMDQ_CONS: '0x030000d1: CERROR_ATC_INV_SYNC' });
    expect(ids(finding)[0]).toBe('invalidation-timeout');
  });
});

test('GERROR, bit by bit', () => {
  const finding = only(
    'arm-smmu-v3 arm-smmu-v3.0.auto: unexpected global error reported (0x00000805), this could be serious',
  );
  expect(finding.summary).toBe('global error 0x805: CMDQ_ERR, EVENTQ_ABT_ERR, bit 11');
  expect(Object.fromEntries(finding.details)).toMatchObject({ 'bit 11': 'reserved' });
});

test('a page request that nobody expects', () => {
  const finding = only(
    'arm-smmu-v3 arm-smmu-v3.0.auto: unexpected PRI request received:',
    'arm-smmu-v3 arm-smmu-v3.0.auto: \tsid 0x00003102.0x00005: [17L] unprivileged RW access at iova 0x00007f0000001000',
  );
  expect(finding).toMatchObject({
    requester: { id: 0x3102, pasid: 5 },
    access: 'page request',
    address: { value: 0x7f0000001000n },
  });
  expect(Object.fromEntries(finding.details)).toMatchObject({
    group: '17, its last request',
    'asked for': 'RW, unprivileged',
  });
});

describe('tables are whole', () => {
  const transaction = { access: 'write', pasid: null, address: 0x9000n, ownAddress: true, stalled: false } as const;

  test('each event but a hint has suspects', () => {
    const none = Object.entries(EVENTS).filter(([number]) => suspectsOf(Number(number), transaction).length === 0);
    expect(none.map(([, { name }]) => name)).toEqual(['E_PAGE_REQUEST']);
  });

  test('each error of a command, each global error', () => {
    expect(Object.keys(CERROR).filter((error) => commandSuspects(Number(error)).length === 0)).toEqual(['0']);
    for (const bit of Object.keys(GLOBAL_ERRORS)) expect(globalSuspects([Number(bit)]).length).toBeGreaterThan(0);
  });
});
