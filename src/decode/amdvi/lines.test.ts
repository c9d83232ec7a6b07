/** Lines of AMD-Vi as bug reports and commit messages have them. */
import { describe, expect, test } from 'vitest';
import { ids, only } from '../../../test/explained.ts';
import { COMMANDS } from '../../iommu/amdvi/commands.ts';
import { EVENTS } from '../../iommu/amdvi/events.ts';
import { CAUSES, explain } from '../index.ts';
import { EVENT_BY_CODE, kindOfEvent, loggedName } from './event-lines.ts';
import { AMD_LINES } from './lines.ts';
import { suspectsOf } from './suspects.ts';

describe('IO_PAGE_FAULT', () => {
  test("of a device that the kernel knows: its name stands before the driver's own prefix", () => {
    const finding = only(
      'nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000b address=0xb6674000 flags=0x0000]',
    );
    expect(finding).toMatchObject({
      kind: 'amdvi.io-page-fault',
      requester: { text: '0000:01:00.0', id: 0x100, pasid: null },
      access: 'read',
      address: { value: 0xb6674000n, space: 'IOVA' },
      code: { value: 2, name: 'IO_PAGE_FAULT', clause: 'AMD-Vi 2.5.3' },
    });
    expect(finding.details).toContainEqual(['domain', '0xb']);
    expect(ids(finding).slice(0, 2)).toEqual(['unmap-before-completion', 'never-mapped']);
  });

  test('flags 0x0070: present, a write, no permission (asked for in Dasharo #641 and #1134)', () => {
    const finding = only(
      'amdgpu 0000:05:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0000 address=0x169801800 flags=0x0070]',
    );
    expect(finding.code?.meaning).toBe('a write without permission');
    expect(finding.access).toBe('write');
    expect(Object.fromEntries(finding.details).flags).toMatch(
      /^0x0070: GN 0, .*I 0 \(memory request\), PR 1 \(present.*RW 1 \(write\), PE 1 \(no permission\).*TR 0/,
    );
    // Domain 0 and no permission: no page of it says so, but the entry of the device.
    expect(ids(finding).slice(0, 2)).toEqual(['not-attached', 'reserved-region']);
  });

  test('no permission in a domain of its own: the direction', () => {
    const finding = only(
      'r8169 0000:03:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000c address=0xffffc000 flags=0x0070]',
    );
    expect(ids(finding)[0]).toBe('direction');
  });

  test('before 3.8 and since 5.20: device= with and without segment, address of 16 digits', () => {
    const old = only(
      'AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x0017 address=0x00000000be9f9880 flags=0x0010]',
    );
    expect(old).toMatchObject({ requester: { id: 0x200 }, address: { value: 0xbe9f9880n } });
    const segment = only(
      'AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:00:0c.0 domain=0x0000 address=0x7e800000 flags=0x0050]',
    );
    expect(segment.requester).toMatchObject({ text: '0000:00:0c.0', id: 0x60 });
  });

  test('an interrupt that is blocked', () => {
    const finding = only('AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0055 address=0xfffffffdf8000000 flags=0x0008]');
    expect(finding).toMatchObject({ requester: null, access: 'interrupt', address: { space: 'unknown' } });
    expect(ids(finding)[0]).toBe('interrupt-freed');
  });

  test('GN = 1: the number is a PASID, and the address a process has', () => {
    const finding = only(
      'amdxdna 0000:c6:00.1: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0003 address=0x7f0012345000 flags=0x0025]',
    );
    expect(finding.requester).toMatchObject({ pasid: 3 });
    expect(Object.fromEntries(finding.details)).not.toHaveProperty('domain');
    expect(ids(finding)[0]).toBe('process-memory');
  });

  test('different flags at one device are different findings', () => {
    const line = (flags: string) =>
      `nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000b address=0xb6674000 flags=${flags}]`;
    const { groups } = explain([line('0x0000'), line('0x0050'), line('0x0000')].join('\n'));
    expect(groups.map(({ count }) => count)).toEqual([2, 1]);
  });

  test('in two lines', () => {
    const finding = only(
      '[    1.131873] AMD-Vi: Event logged [',
      '[    1.131874] IO_PAGE_FAULT device=02:00.0 domain=0x0017 address=0x00000000be9f9880 flags=0x0010]',
    );
    expect(finding).toMatchObject({ kind: 'amdvi.io-page-fault', requester: { id: 0x200 } });
  });

  test("in Xen's words, new and old", () => {
    expect(only('(XEN) AMD-Vi: IO_PAGE_FAULT: 0000:00:13.1 d0 addr 00000000000eb340 flags 0')).toMatchObject({
      requester: { id: 0x99 },
      access: 'read',
    });
    expect(
      only(
        '(XEN) AMD-Vi: IO_PAGE_FAULT: domain = 0, device id = 0x2600, fault address = 0xfffffffdf8000000, flags = 0x8',
      ),
    ).toMatchObject({ requester: { text: '26:00.0', id: 0x2600 }, access: 'interrupt' });
  });
});

describe('ILLEGAL_DEV_TABLE_ENTRY', () => {
  test('with its entry: HAD after a resume (kernel.org bug 219499)', () => {
    const finding = only(
      'Nov 14 11:52:19 Thinkbook kernel: iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:06:00.0 pasid=0x00000 address=0x135300000 flags=0x0080]',
      'Nov 14 11:52:19 Thinkbook kernel: AMD-Vi: DTE[0]: 7d90000000000003',
      'Nov 14 11:52:19 Thinkbook kernel: AMD-Vi: DTE[1]: 0000100103fc0009',
      'Nov 14 11:52:19 Thinkbook kernel: AMD-Vi: DTE[2]: 2000000117840013',
      'Nov 14 11:52:19 Thinkbook kernel: AMD-Vi: DTE[3]: 0000000000000000',
    );
    expect(finding.code?.meaning).toContain('a reserved bit is set');
    const [entry] = finding.structures;
    expect(entry).toMatchObject({ kind: 'amdvi.dte', reserved: [] });
    const value = (name: string) => entry.fields.find((field) => field.name === name)?.value;
    expect([value('V'), value('TV'), value('DomainID'), value('PPR'), value('IV')]).toEqual([1n, 1n, 9n, 1n, 1n]);
    expect(ids(finding)).toContain('resume');
  });

  test('with the control register between', () => {
    const finding = only(
      'iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=c0:00.1 pasid=0x00000 address=0xfffffffdf8140000 flags=0x0008]',
      'iommu ivhd0: AMD-Vi: Control Reg : 0x2e001d',
      'AMD-Vi: DTE[0]: 0000000000000003',
      'AMD-Vi: DTE[1]: 0000000000000000',
      'AMD-Vi: DTE[2]: 2008000100258013',
      'AMD-Vi: DTE[3]: 0000000000000000',
    );
    expect(finding.structures.map(({ kind }) => kind)).toEqual(['amdvi.dte', 'amdvi.control']);
    expect(finding.access).toBe('interrupt');
  });

  test('an entry that is not whole is none', () => {
    const finding = only(
      'iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=c0:00.1 pasid=0x00000 address=0x0 flags=0x0008]',
      'AMD-Vi: DTE[0]: 0000000000000003',
      'AMD-Vi: DTE[3]: 0000000000000000',
    );
    expect(finding.structures).toEqual([]);
  });
});

test('a command that is refused, with the command', () => {
  const finding = only(
    'iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_COMMAND_ERROR address=0x100340]',
    ...['00000000', '30000013', 'fffff003', '7fffffff'].map((word, n) => `AMD-Vi: CMD[${n}]: ${word}`),
  );
  expect(finding).toMatchObject({ address: { value: 0x100340n, space: 'physical' }, access: null });
  const [command] = finding.structures;
  expect(command).toMatchObject({ name: COMMANDS[3].name, reserved: [] });
  expect(command.fields.find(({ name }) => name === 'DomainID')?.value).toBe(0x13n);
});

test('IOTLB_INV_TIMEOUT of a GPU whose ATS does not work', () => {
  const finding = only('iommu ivhd0: AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=63:00.0 address=0x42b5b01a0]');
  expect(finding).toMatchObject({ requester: { id: 0x6300 }, address: { space: 'physical' } });
  expect(ids(finding)).toEqual(['invalidation-timeout']);
});

test('INVALID_DEVICE_REQUEST flags 0x0a00: type 5, an interrupt where the entry takes none', () => {
  const finding = only(
    'iommu ivhd1: AMD-Vi: Event logged [INVALID_DEVICE_REQUEST device=0000:00:00.0 pasid=0x00000 address=0xfffffffdf8000000 flags=0x0a00]',
  );
  expect(finding.code?.meaning).toContain('IntCtl = 0');
});

test('an event that Linux does not know is one of the specification', () => {
  const finding = only(
    'iommu ivhd0: AMD-Vi: Event logged [UNKNOWN event[0]=0x00000000 event[1]=0xa0000000 event[2]=0x00000001 event[3]=0x00000000',
  );
  expect(finding).toMatchObject({ severity: 'info', code: { value: 10, name: 'EVENT_COUNTER_ZERO' } });
  expect(finding.structures[0].kind).toBe('amdvi.event');
  const none = only('AMD-Vi: Event logged [UNKNOWN event[0]=0x1 event[1]=0xf0000000 event[2]=0x0 event[3]=0x0');
  expect(none).toMatchObject({ code: { value: 15, clause: null }, structures: [], causes: [] });
});

test('a device in no domain, with the line that names it', () => {
  const finding = only(
    'AMD-Vi: Event logged [Device not attached to domain properly]',
    'AMD-Vi:   device=0000:06:00.0 domain=0x0000',
  );
  expect(finding).toMatchObject({ requester: { text: '0000:06:00.0', id: 0x600 } });
  expect(ids(finding)[0]).toBe('not-attached');
});

test.each(['AMD-Vi: Completion-Wait loop timed out', 'AMD-Vi: IOMMU 0000:00:00.2: Completion-Wait loop timed out'])(
  '%s',
  (line) => {
    expect(only(line).summary).toContain('did not complete a COMPLETION_WAIT');
  },
);

describe('the command buffer', () => {
  const entries = [
    '[  120.1] AMD-Vi:   0: 23456789 10000001 0000002b 00000000',
    '[  120.1] AMD-Vi: 509: 00000005 20000000 00000000 00000000',
    '[  120.1] AMD-Vi: 510: 00000000 30000013 fffff003 7fffffff',
    '[  120.1] AMD-Vi: 511: 23456789 10000001 0000002a 00000000',
  ];

  test('after a time-out: what waits, around the end of the ring', () => {
    const finding = only('[  120.1] AMD-Vi: CMD Buffer head=510 tail=1', ...entries);
    expect(finding.summary).toBe('the command buffer: 3 commands wait (head 510, tail 1)');
    expect(finding.structures.map(({ name }) => name)).toEqual([
      'INVALIDATE_IOMMU_PAGES',
      'COMPLETION_WAIT',
      'COMPLETION_WAIT',
    ]);
    expect(finding.details).toEqual([['last one taken', 'INVALIDATE_DEVTAB_ENTRY']]);
  });

  test('of debugfs, with nothing in it, words together', () => {
    const finding = only('CMD Buffer Head Offset:510 Tail Offset:510', '509: 00000005200000000000000000000000');
    expect(finding.summary).toBe('the command buffer: all commands were taken (head and tail 510)');
    expect(finding.details).toEqual([['last one taken', 'INVALIDATE_DEVTAB_ENTRY']]);
  });
});

describe('what cannot be', () => {
  test.each([
    'AMD-Vi: Event logged [IO_PAGE_FAULT device=02:20.0 domain=0x0017 address=0x1000 flags=0x0010]',
    'AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x0017 address=0x1000 flags=0x1010]',
    'AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x0017 address=zz flags=0x0010]',
    'AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x100000 address=0x1000 flags=0x0010]',
  ])('is counted as not known: %s', (line) => {
    const { groups, unknownCount } = explain(line);
    expect([groups.length, unknownCount]).toEqual([0, 1]);
  });
});

describe('tables are whole', () => {
  test('each event has a line, but for the counter, which Linux does not know', () => {
    const lines = new Set(AMD_LINES.map(({ id }) => id));
    const without = Object.values(EVENT_BY_CODE).filter((event) => !lines.has(kindOfEvent(event)));
    expect(without.map(loggedName)).toEqual(['EVENT_COUNTER_ZERO']);
  });

  test('each event has suspects, but for the counter', () => {
    const none = Object.keys(EVENTS).filter(
      (code) =>
        suspectsOf(Number(code), {
          flags: { Type: 0 },
          access: null,
          pasid: null,
          address: 0x1000n,
          domain: null,
        }).length === 0,
    );
    expect(none).toEqual(['10']);
    for (let type = 0; type < 8; type++) {
      const request = { flags: { Type: type }, access: null, pasid: null, address: null, domain: null };
      const found = suspectsOf(8, request);
      expect(found.length).toBeGreaterThan(0);
      for (const { id } of found) expect(CAUSES).toHaveProperty(id);
    }
  });
});
