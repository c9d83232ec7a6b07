/** Lines of the RISC-V IOMMU. No log of a real machine is public yet: the lines are put together from the driver's formats. */
import { describe, expect, test } from 'vitest';
import { ids, only } from '../../../test/explained.ts';
import { FAULTS } from '../../iommu/riscv/faults.ts';
import { CQCSR, FQCSR } from '../../iommu/riscv/registers.ts';
import { explain } from '../index.ts';
import { RISCV_LINES } from './lines.ts';
import { accessOf, suspectsOf } from './suspects.ts';

const line = (cause: number | string, iotval = 'ff9bc000', iotval2 = '0') =>
  `[    5.1] riscv-iommu 0000:00:01.0: Fault ${cause} devid: 0x100 iotval: ${iotval} iotval2: ${iotval2}`;

describe('a fault', () => {
  test('cause 13, in decimal: a page that may not be read', () => {
    const finding = only(line(13));
    expect(finding).toMatchObject({
      kind: 'riscv.fault',
      requester: { text: 'devid 0x100', id: 0x100 },
      access: 'read',
      address: { value: 0xff9bc000n, space: 'IOVA' },
      code: { value: 13, name: 'Read page fault', clause: 'RISC-V IOMMU 3.2' },
    });
    expect(Object.fromEntries(finding.details)['as requester id']).toBe('01:00.0, where device_id is the one of PCI');
    expect(ids(finding)[0]).toBe('unmap-before-completion');
  });

  test('cause 258: a device without context; 256: the IOMMU is off', () => {
    expect(ids(only(line(258)))).toContain('firmware-ids');
    expect(only(line(256)).details).toContainEqual(['despite DTF', 'reported with tc.DTF = 1, too']);
  });

  test('of the second stage: iotval2 is decoded, and says whose access it was', () => {
    const own = only(line(23, '1000', '80001000'));
    expect(own.structures[0]).toMatchObject({ kind: 'riscv.guest-fault' });
    expect(own.structures[0].fields.find(({ name }) => name === 'GPA')?.value).toBe(0x80001000n);
    const implicit = only(line(21, '1000', '80001001'));
    expect(implicit.summary).toContain("the access was the IOMMU's own");
    expect(ids(implicit)[0]).toBe('table-unreadable');
  });

  test('causes that are reserved, and custom', () => {
    expect(only(line(300))).toMatchObject({ code: { meaning: 'a cause that the specification has not' }, causes: [] });
    expect(only(line(2050)).code?.meaning).toBe('a cause that the implementation defines');
  });

  test('of a device by its decimal number, and behind a segment', () => {
    expect(only('riscv-iommu x: Fault 15 devid: 256 iotval: 1000 iotval2: 0').requester).toMatchObject({ id: 256 });
    expect(
      Object.fromEntries(only('riscv-iommu x: Fault 15 devid: 0x10100 iotval: 1000 iotval2: 0').details)[
        'as requester id'
      ],
    ).toMatch(/^segment 1, 01:00\.0/);
  });

  test.each([line(4096), line(13).replace('0x100', '0x1000000'), line(13, 'zz')])('that cannot be: %s', (text) => {
    expect(explain(text).unknownCount).toBe(1);
  });
});

describe('errors of queues', () => {
  test('each bit of the command queue that Linux prints is one of cqcsr', () => {
    const finding = only('riscv-iommu x: Queue #0 error; fault:1 timeout:1 illegal:1 fence_w_ip:1');
    const names = finding.details.map(([name]) => name.replace('cqcsr.', ''));
    expect(names).toEqual(['cqmf', 'cmd_to', 'cmd_ill', 'fence_w_ip']);
    for (const name of names) expect(CQCSR.fields).toHaveProperty(name);
    expect(ids(finding)).toEqual(['table-unreadable', 'hardware-error', 'invalidation-timeout', 'descriptor-damaged']);
  });

  test('a wired interrupt alone is no error', () => {
    expect(only('riscv-iommu x: Queue #0 error; fault:0 timeout:0 illegal:0 fence_w_ip:1')).toMatchObject({
      severity: 'info',
      causes: [],
    });
  });

  test('the fault queue', () => {
    const finding = only('riscv-iommu x: Queue #1 error; memory fault:0 overflow:1');
    expect(finding.summary).toBe('fault queue: the queue was full: records were lost');
    expect(ids(finding)).toEqual(['overflow']);
    for (const name of ['fqmf', 'fqof']) expect(FQCSR.fields).toHaveProperty(name);
  });
});

test('each cause has suspects, and those of transactions an access', () => {
  const transaction = { access: 'read', pasid: null, address: 0x9000n, implicit: false } as const;
  for (const [cause, { name }] of Object.entries(FAULTS)) {
    expect(suspectsOf(Number(cause), transaction).length, name).toBeGreaterThan(0);
    const [kind] = /Instruction|Read|Write/.exec(name) ?? [];
    if (kind !== undefined && Number(cause) < 256)
      expect(accessOf(Number(cause)), name).toBe({ Instruction: 'execute', Read: 'read', Write: 'write' }[kind]);
  }
});

test('all lines are of this model', () => {
  for (const { example, id } of RISCV_LINES) expect(only(example).model, id).toBe('riscv');
});
