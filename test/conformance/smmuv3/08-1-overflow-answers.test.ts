/** SMMUv3 8.1: how STE.PPAR, and an STE that cannot be found, decide what page requests are answered that an overflow discards; what of it is recorded. */
import { describe, expect, test } from 'vitest';
import { decodeHalves, encodeHalves } from '../../../src/bits/index.ts';
import type { SmmuEmulatorOptions } from '../../../src/iommu/smmuv3/index.ts';
import { eventRecordAt, SmmuEmulator, STE, STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { modelOnly } from '../drivers/needs-model.ts';

modelOnly('an SMMU as an emulator has it');

const SUCCESS = 0;
const FAILURE = 15;
const [STREAMS, PRIQ, EVENTQ] = [0x1_0000, 0x2_0000, 0x3_0000];
const [RECINVSID, REC_CFG_ATS] = [2, 8];
const NOWHERE = 1n << 46n;
const SID = 3;
const SSID = 7;
const GROUP = 5;

type SteValues = Parameters<typeof encodeHalves<typeof STE.fields>>[1];

interface Given {
  readonly ste?: SteValues;
  readonly cr2?: number;
  readonly sid?: number;
  readonly ssid?: number;
  readonly base?: bigint;
  readonly options?: Partial<SmmuEmulatorOptions>;
}

/** A request that overflows a page request queue of one entry. @returns the answers, and the events */
function overflow({ ste = {}, cr2 = RECINVSID, sid = SID, ssid = SSID, base = BigInt(STREAMS), options = {} }: Given) {
  const words = new Int32Array(1 << 17);
  const answers: number[][] = [];
  const unit = new SmmuEmulator({
    memory: new Uint8Array(words.buffer),
    ...options,
    idr0: { ATS: 1, PRI: 1, ATSRECERR: 1, ...options.idr0 },
    pageResponse: (...answer) => void answers.push(answer),
  });
  words.set(encodeHalves(STE, { V: 1, Config: STE_CONFIG.bypass, ...ste }), (STREAMS + 64 * SID) / 4);
  unit.write(0x2c, 4, cr2);
  unit.write(0x80, 8, base);
  unit.write(0x88, 4, 4);
  unit.write(0xa0, 8, BigInt(EVENTQ | 4));
  unit.write(0xc0, 8, BigInt(PRIQ));
  unit.write(0x20, 4, 7);
  const request = { hi: 0, lo: 0x5000, read: true, write: false, group: GROUP, last: true };
  unit.unit.pageRequest({ ...request, sid, ssid: -1, last: false });
  unit.unit.pageRequest({ ...request, sid, ssid });
  const events = Array.from({ length: unit.read(0x100a8, 4) }, (_, i) => {
    const halves = words.slice((EVENTQ + 32 * i) / 4, (EVENTQ + 32 * i) / 4 + 8);
    return decodeHalves(eventRecordAt(halves) as NonNullable<ReturnType<typeof eventRecordAt>>, halves);
  });
  return { answers, events };
}

describe('8.1 STE.PPAR', () => {
  test.each([
    ['PPAR 0', { ste: { PPAR: 0 } }, -1],
    ['PPAR 1', { ste: { PPAR: 1 } }, SSID],
    ['PPAR 1 of a stream that is aborted', { ste: { PPAR: 0, Config: STE_CONFIG.abort } }, -1],
    ['PPAR 0 with IDR3.PPS', { ste: { PPAR: 0 }, options: { idr3: { PPS: 1 } } }, SSID],
    ['no STE with IDR3.PPS', { ste: { V: 0 }, options: { idr3: { PPS: 1 } } }, SSID],
    ['PPAR 1 without substreams', { ste: { PPAR: 1 }, options: { idr1: { SSIDSIZE: 0 } } }, -1],
    ['a request without PASID, and no STE', { ste: { V: 0 }, ssid: -1 }, -1],
  ] as [string, Given, number][])('%s: success', (_, given, pasid) => {
    expect(overflow(given)).toEqual({ answers: [[SID, pasid, GROUP, SUCCESS]], events: [] });
  });
});

describe('8.1 no valid STE: failure without PASID; the event with CR2.REC_CFG_ATS alone', () => {
  const who = { SSV: 1, SubstreamID: SSID };
  const cases: [string, Given, object][] = [
    ['C_BAD_STREAMID', { sid: 16 }, { ID: 2, ...who, StreamID: 16 }],
    ['F_STE_FETCH', { base: NOWHERE }, { ID: 3, ...who, StreamID: SID, FetchAddr: NOWHERE + 64n * BigInt(SID) }],
    ['C_BAD_STE, not valid', { ste: { V: 0 } }, { ID: 4, ...who, StreamID: SID }],
    ['C_BAD_STE, ILLEGAL', { ste: { Config: STE_CONFIG.s1, STRW: 1 } }, { ID: 4, ...who, StreamID: SID }],
  ];
  test.each(cases)('%s', (_, given, record) => {
    const { sid = SID } = given;
    const answers = [[sid, -1, GROUP, FAILURE]];
    expect(overflow(given)).toEqual({ answers, events: [] });
    const seen = overflow({ ...given, cr2: RECINVSID | REC_CFG_ATS });
    expect(seen.answers).toEqual(answers);
    expect(seen.events).toMatchObject([record]);
  });

  test('C_BAD_STREAMID wants CR2.RECINVSID as well', () => {
    expect(overflow({ sid: 16, cr2: REC_CFG_ATS }).events).toEqual([]);
  });

  test('a stream without substreams is none of these errors', () => {
    const given = { ste: { Config: STE_CONFIG.bypass, PPAR: 1 }, cr2: RECINVSID | REC_CFG_ATS };
    expect(overflow(given)).toEqual({ answers: [[SID, SSID, GROUP, SUCCESS]], events: [] });
  });
});
