/** SMMUv3 3.11, and what 6.3 says of reset: the state before software has done anything, and what an SMMU does while SMMUEN is 0. */
import { describe, expect, test } from 'vitest';
import { encodeHalves } from '../../../src/bits/index.ts';
import type { SmmuEmulatorOptions } from '../../../src/iommu/smmuv3/index.ts';
import { ATS_STATUS, CMD_SYNC, EVENT, REQUEST, SILENT, SmmuEmulator } from '../../../src/iommu/smmuv3/index.ts';
import { modelOnly } from '../drivers/needs-model.ts';
import { hex, titled } from './titled.ts';

modelOnly('an SMMU as an emulator has it');

const [CR0, STRTAB_BASE, CMDQ_BASE, CMDQ_PROD, CMDQ_CONS] = [0x20, 0x80, 0x90, 0x98, 0x9c];
const [EVENTQ_BASE, PRIQ_BASE, EVENTQ_PROD, PRIQ_PROD] = [0xa0, 0xc0, 0x100a8, 0x100c8];
const [PRIQEN, EVENTQEN, CMDQEN] = [2, 4, 8];
const [COMMANDS, EVENTS, PAGES] = [0x1_0000, 0x2_0000, 0x3_0000];
const NOWHERE = 1n << 40n;
const AT = 0x5678;

function unitOf(options: Partial<SmmuEmulatorOptions> = {}) {
  const words = new Int32Array(1 << 17);
  const answers: number[][] = [];
  const unit = new SmmuEmulator({
    memory: new Uint8Array(words.buffer),
    ...options,
    idr0: { ATS: 1, PRI: 1, MSI: 1, ...options.idr0 },
    pageResponse: (...answer) => void answers.push(answer),
  });
  return { unit, words, answers };
}

/** A unit whose queues are on, whose stream table is nowhere, and which does not translate. */
function disabledUnit(options: Partial<SmmuEmulatorOptions> = {}) {
  const made = unitOf(options);
  const { unit } = made;
  unit.write(STRTAB_BASE, 8, NOWHERE);
  unit.write(CMDQ_BASE, 8, BigInt(COMMANDS | 4));
  unit.write(EVENTQ_BASE, 8, BigInt(EVENTS | 4));
  unit.write(PRIQ_BASE, 8, BigInt(PAGES | 4));
  unit.write(CR0, 4, PRIQEN | EVENTQEN | CMDQEN);
  return made;
}

describe('6.3 what a reset leaves', () => {
  const rows: [name: string, offset: number][] = [
    ['CR0', CR0],
    ['CR0ACK', 0x24],
    ['IRQ_CTRL', 0x50],
    ['IRQ_CTRLACK', 0x54],
    ['GERROR', 0x60],
    ['GERRORN', 0x64],
  ];
  test.each(titled(rows, (name, offset) => `${name} at ${hex(offset)} is 0`))('%s', (_, __, offset) => {
    expect(unitOf().unit.read(offset, 4)).toBe(0);
  });

  test.each([false, true])('GBPA.Update is 0; implementation defined: GBPA.ABORT %s', (abortsAtReset) => {
    const gbpa = unitOf({ abortsAtReset }).unit.read(0x44, 4);
    expect([gbpa >>> 31, (gbpa >>> 20) & 1]).toEqual([0, abortsAtReset ? 1 : 0]);
  });

  test.each([false, true])('before any register is written, transactions are aborted: %s', (abortsAtReset) => {
    expect(unitOf({ abortsAtReset }).unit.translate(7, -1, AT, REQUEST.read)).toBe(abortsAtReset ? SILENT : AT);
  });
});

describe('3.11 while SMMUEN is 0', () => {
  const { read, write, atomic, instruction, privileged } = REQUEST;
  const kinds = [read, write, atomic, read | instruction, read | privileged, write | privileged];
  const streams: [sid: number, ssid: number][] = [
    [0, -1],
    [7, -1],
    [7, 3],
    [0xffff_ffff, -1],
  ];
  const rows = [false, true].flatMap((aborts) =>
    streams.flatMap(([sid, ssid]) => kinds.map((kind): [boolean, number, number, number] => [aborts, sid, ssid, kind])),
  );
  test.each(
    titled(rows, (aborts, sid, ssid, kind) => `GBPA.ABORT ${aborts}: kind ${kind}, StreamID ${hex(sid)}, ${ssid}`),
  )('the stream table is not read: %s', (_, abortsAtReset, sid, ssid, kind) => {
    const { unit } = disabledUnit({ abortsAtReset });
    expect(unit.translate(sid, ssid, AT, kind)).toBe(abortsAtReset ? SILENT : AT);
    expect([unit.read(EVENTQ_PROD, 4), unit.read(0x60, 4)]).toEqual([0, 0]);
  });

  test.each([false, true])(
    '3.9.1.2, 3.9.1.3: what ATS asks and has is refused, and recorded; GBPA.ABORT %s',
    (aborts) => {
      const { unit, words } = disabledUnit({ abortsAtReset: aborts });
      unit.translate(7, -1, AT, REQUEST.translation);
      expect(unit.completion.status).toBe(ATS_STATUS.unsupportedRequest);
      expect(unit.translate(7, -1, AT, REQUEST.translated)).toBe(-EVENT.F_TRANSL_FORBIDDEN);
      expect([unit.read(EVENTQ_PROD, 4), words[EVENTS / 4] & 0xff]).toEqual([2, EVENT.F_BAD_ATS_TREQ]);
    },
  );

  test.each([
    ['with PRIQEN', PRIQEN | EVENTQEN | CMDQEN],
    ['without', EVENTQEN | CMDQEN],
  ])('page requests are denied %s', (_, enables) => {
    const { unit, answers } = disabledUnit();
    unit.write(CR0, 4, enables);
    const page = { hi: 0, lo: 0x5000, read: true, write: false, sid: 7, ssid: -1, group: 5, last: true };
    unit.unit.pageRequest(page);
    expect([answers, unit.read(PRIQ_PROD, 4), unit.read(EVENTQ_PROD, 4)]).toEqual([[[7, -1, 5, 15]], 0, 0]);
  });

  test('commands are done', () => {
    const { unit, words } = disabledUnit();
    words.set(encodeHalves(CMD_SYNC, {}), COMMANDS / 4);
    unit.write(CMDQ_PROD, 4, 1);
    expect(unit.read(CMDQ_CONS, 4)).toBe(1);
  });

  test.todo('13.2: attributes that GBPA gives (MTCFG, SHCFG, ALLOCCFG, PRIVCFG, INSTCFG) are no part of the model');
});
