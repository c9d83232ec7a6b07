/** VT-d chapter 4 in scalable mode, in steps: a device that translates by itself, with and without PASID. */
import { describe, expect, test } from 'vitest';
import { MARK, PHASE, SLOT } from '../../../src/machine/index.ts';
import { FIRST, NESTED, PASS, ScalableBench, SECOND } from './scalable-unit.ts';
import type { BenchOptions, Flight } from './unit.ts';
import { FSTS, iotlbInv, Random, READ, REG, STATUS, WRITE, wait } from './unit.ts';

const SID = 0x10;
const PASID = 5;
const IOVA = 0x40_0000n;
const PAGE = 0x12000n;
const DTE = 4n;
const ASK = 17;
const SUCCESS = 0;

interface Tables {
  readonly first: bigint;
  readonly second: bigint;
}

/** The function has DTE; RID_PASID is 9, requests with PASID have 5; both have the same tables. */
function make(pgtt: number, options: BenchOptions = {}, entry = {}): { bench: ScalableBench } & Tables {
  const bench = new ScalableBench({ ...options, ecap: { DT: 1, ...options.ecap } });
  bench.setDevice(SID, { ridPasid: 9 });
  bench.poke(bench.contextAt(SID), bench.peek(bench.contextAt(SID)) | DTE);
  const [first, second] = [bench.newTable(), bench.newTable()];
  for (const pasid of [PASID, 9]) bench.setPasid(pasid, { pgtt, did: 1, first, second, ...entry });
  bench.startScalable();
  return { bench, first, second };
}

const inSteps = { dmaSlots: 3, atcEntries: 6, itags: 1 };

/** A device with ATS of that PASID, or without one. */
function withAts(bench: ScalableBench, pasid: number | null = PASID, name = 'nic'): void {
  const prefix = pasid === null ? {} : { pasid };
  bench.machine?.dma.requesters.push({ name, sid: SID, did: 1, ats: true, ...prefix });
}

const word = (bench: ScalableBench, flight: Flight, field: number) => bench.machine?.dma.get(flight.slot, field) ?? 0;
const marks = (bench: ScalableBench, flight: Flight) => word(bench, flight, SLOT.flags);
const atc = (bench: ScalableBench) => bench.machine?.dma.ats?.describe() ?? [];
const recorded = (bench: ScalableBench) =>
  bench.recordedReason() === 0
    ? ''
    : ` 0x${bench.recordedReason().toString(16)} AT ${(bench.read32(REG.FRCD + 12) >>> 28) & 3}`;

/** Up to the translation completion. @returns rights and page, or that it was blocked; and what was recorded */
function answerInSteps(bench: ScalableBench, flight: Flight, pick: (n: number) => number = () => 0): string {
  flight.step((n) => n - 1);
  while (flight.state !== 'over' && (marks(bench, flight) & MARK.asks) !== 0) flight.step(pick);
  if (flight.state === 'over') return `blocked${recorded(bench)}`;
  if ((marks(bench, flight) & MARK.answered) === 0) return `untranslated${recorded(bench)}`;
  return line(word(bench, flight, SLOT.perms), flight.page, word(bench, flight, SLOT.level), recorded(bench));
}

/** The same at once. */
function answerAtOnce(bench: ScalableBench, iova: bigint, pasid: number): string {
  const answer = bench.ask(SID, iova, { access: ASK, pasid });
  const { status, read, write, untranslatedOnly, level } = bench.unit.completion;
  if (status !== SUCCESS) return `blocked${recorded(bench)}`;
  if (untranslatedOnly) return `untranslated${recorded(bench)}`;
  return line((read ? 1 : 0) | (write ? 2 : 0), 'page' in answer ? answer.page : 0n, level, recorded(bench));
}

function line(rights: number, page: bigint, level: number, fault: string): string {
  return rights === 0 ? `nothing${fault}` : `${rights} 0x${page.toString(16)} S${level}${fault}`;
}

describe('4.2.3 translation requests', () => {
  test.each([
    ['first stage', FIRST, 7n, '3 0x12000 S1'],
    ['first stage, may not be written', FIRST, 5n, '1 0x12000 S1'],
    ['first stage, no user page', FIRST, 3n, 'nothing'],
    ['first stage, not present', FIRST, 6n, 'nothing'],
    ['second stage', SECOND, 3n, '3 0x12000 S1'],
    ['second stage, read only', SECOND, 1n, '1 0x12000 S1'],
    ['second stage, write only', SECOND, 2n, '2 0x12000 S1'],
    ['second stage, nothing', SECOND, 0n, 'nothing'],
    ['pass-through', PASS, 0n, '3 0x400000 S1'],
  ] as const)('%s', (_, pgtt, bits, answer) => {
    for (const pasid of [PASID, null]) {
      const { bench, first, second } = make(pgtt, inSteps);
      withAts(bench, pasid);
      if (pgtt !== PASS) bench.put(pgtt === FIRST ? first : second, 4, IOVA, PAGE | bits, 1, pgtt === FIRST ? 7n : 3n);
      const flight = bench.issue(SID, IOVA, READ, 1, pasid ?? undefined);
      expect(answerInSteps(bench, flight)).toBe(answer);
    }
  });

  test('the device keeps the answer, and goes to the address without PASID; another PASID of it has its own', () => {
    const { bench, first } = make(FIRST, inSteps);
    withAts(bench);
    withAts(bench, 9, 'other');
    bench.put(first, 4, IOVA, PAGE | 7n);
    const flight = bench.issue(SID, IOVA, WRITE, 1, PASID);
    expect(flight.walk()).toBe(true);
    expect([flight.page, marks(bench, flight) & MARK.direct]).toEqual([PAGE, MARK.direct]);
    expect(atc(bench)).toEqual(['ATC of nic: IOVA 0x400000 -> 0x12000']);
    expect(bench.issue(SID, IOVA, WRITE, 1, PASID).choices).toBe(2);
    expect(bench.issue(SID, IOVA, WRITE, 1, 9).choices).toBe(1);
  });

  test('SCT.5: DTE = 0 blocks it, though the IOTLB has the page; and a translated one', () => {
    const { bench, first } = make(FIRST, inSteps);
    bench.put(first, 4, IOVA, PAGE | 7n);
    withAts(bench);
    const flight = bench.issue(SID, IOVA, READ, 1, PASID);
    while ((marks(bench, flight) & MARK.direct) === 0) flight.step();
    expect(bench.unit.scalableCaches?.iotlb.isEmpty()).toBe(false);
    bench.poke(bench.contextAt(SID), bench.peek(bench.contextAt(SID)) & ~DTE);
    bench.queue([0x11n]);
    expect(flight.walk()).toBe(false);
    expect(recorded(bench)).toBe(' 0x44 AT 2');
    // The address as it was sent: the translated one.
    expect(bench.read64(REG.FRCD) & ~0xfffn).toBe(PAGE);
    bench.clearFaults();
    const second = bench.issue(SID, IOVA, READ, 1, PASID);
    expect(answerInSteps(bench, second)).toBe('blocked 0x44 AT 1');
  });

  test('S.1: the interrupt range without PASID is for untranslated requests; with PASID it is translated', () => {
    const { bench, first } = make(FIRST, inSteps);
    withAts(bench, null);
    withAts(bench);
    bench.put(first, 4, 0xfee00000n, PAGE | 7n);
    expect(answerInSteps(bench, bench.issue(SID, 0xfee00000n, WRITE))).toBe('untranslated');
    expect(answerInSteps(bench, bench.issue(SID, 0xfee00000n, WRITE, 1, PASID))).toBe('3 0x12000 S1');
  });

  test('4.2.5 a translated request needs the context entry alone, cached or read in one step', () => {
    const { bench, first } = make(FIRST, inSteps);
    withAts(bench);
    bench.put(first, 4, IOVA, PAGE | 7n);
    const flight = bench.issue(SID, IOVA, READ, 1, PASID);
    while ((marks(bench, flight) & MARK.direct) === 0) flight.step();
    expect(flight.choices).toBe(2);
    flight.step((n) => n - 1);
    expect(flight.state).toBe('translated');
    expect(bench.unit.scalableCaches?.findContext(SID)).toBeGreaterThanOrEqual(0);
  });

  test('6.5.2.5 the IOTLB may answer, or be gone; what is not known to be dirty answers no request to write', () => {
    const { bench, first } = make(FIRST, inSteps);
    const leaf = bench.put(first, 4, IOVA, PAGE | 7n);
    bench.machine?.dma.requesters.push({ name: 'plain', sid: SID, did: 1, pasid: PASID });
    expect(bench.issue(SID, IOVA, READ, 1, PASID).walk()).toBe(true);
    expect(bench.peek(leaf)).toBe(PAGE | 0x27n);
    const requesters = bench.machine?.dma.requesters ?? [];
    requesters.splice(0, requesters.length);
    withAts(bench);
    const ways: number[] = [];
    const clean = bench.issue(SID, IOVA, READ, 1, PASID);
    answerInSteps(bench, clean, (n) => {
      ways.push(n);
      return 0;
    });
    expect(bench.peek(leaf), 'asked as an AtomicOp').toBe(PAGE | 0x67n);
    // Now it is dirty: context cache, then the IOTLB.
    ways.length = 0;
    const dirty = bench.issue(SID, IOVA, READ, 1, PASID);
    bench.machine?.dma.ats?.invalidate({ sid: SID, pasid: PASID, vpnHi: 0, vpnLo: 0, am: 52 });
    expect(answerInSteps(bench, dirty, (n) => ways.push(n) && 0)).toBe('3 0x12000 S1');
    expect(ways).toEqual([1, 2, 2]);
  });
});

describe('6.5.2.5, 6.5.2.6, 6.5.4: device-TLB invalidations with and without PASID', () => {
  const inv = (pasid: number, gi = 0) => [8n | (BigInt(pasid) << 32n) | (BigInt(SID) << 16n), IOVA | BigInt(gi)];
  const plain = [3n | (BigInt(SID) << 32n), IOVA];

  function cached() {
    const { bench, first } = make(FIRST, inSteps);
    bench.put(first, 4, IOVA, PAGE | 7n);
    withAts(bench, PASID, 'five');
    withAts(bench, 9, 'nine');
    withAts(bench, null, 'none');
    // 9 is RID_PASID, which no request may name; the device has one all the same.
    bench.poke(bench.contextAt(SID) + 8n, 3n);
    bench.setPasid(3, { pgtt: FIRST, did: 1, first });
    for (const pasid of [PASID, 9, undefined]) {
      const flight = bench.issue(SID, IOVA, READ, 1, pasid);
      expect(flight.walk()).toBe(true);
      flight.perform();
    }
    return bench;
  }

  const names = (bench: ScalableBench) => atc(bench).map((text) => text.slice(7, 11));

  test.each([
    ['with PASID 5', inv(PASID), ['nine', 'none']],
    ['with PASID 6, which nobody has', inv(6), ['five', 'nine', 'none']],
    ['with GI: every PASID, and without', inv(PASID, 1), []],
    ['without PASID', plain, ['five', 'nine']],
  ])('%s', (_, descriptor, left) => {
    const bench = cached();
    expect(names(bench)).toEqual(['five', 'nine', 'none']);
    bench.queue(descriptor, [...wait({ sw: 1, data: 7n, addr: STATUS })]);
    expect(names(bench)).toEqual(left);
    expect(bench.peek(STATUS)).toBe(7n);
    expect(bench.read32(REG.FSTS) & FSTS.ITE).toBe(0);
  });

  test('a translated request is drained by that of its PASID, not by an IOTLB invalidation of either kind', () => {
    const { bench, first } = make(FIRST, inSteps);
    bench.put(first, 4, IOVA, PAGE | 7n);
    withAts(bench);
    const flight = bench.issue(SID, IOVA, WRITE, 1, PASID);
    expect(flight.walk()).toBe(true);
    const done = (data: bigint) => [...wait({ sw: 1, data, addr: STATUS })];
    bench.queue([0x26n | (1n << 16n) | (BigInt(PASID) << 32n)], [...iotlbInv({ g: 1, dr: 1, dw: 1 })], done(1n));
    expect(bench.peek(STATUS)).toBe(1n);
    bench.queue(inv(6), done(2n));
    expect(bench.peek(STATUS)).toBe(2n);
    bench.queue(inv(PASID), done(3n));
    expect(bench.peek(STATUS)).toBe(2n);
    flight.perform();
    bench.run();
    expect(bench.peek(STATUS)).toBe(3n);
  });

  test('a translation request under way is waited for by an IOTLB invalidation; with its answer that is over', () => {
    const { bench, first } = make(FIRST, inSteps);
    bench.put(first, 4, IOVA, PAGE | 7n);
    withAts(bench);
    const flight = bench.issue(SID, IOVA, WRITE, 1, PASID);
    for (let i = 0; i < 9; i++) flight.step();
    bench.queue([0x26n | (1n << 16n) | (BigInt(PASID) << 32n)], [...wait({ sw: 1, data: 1n, addr: STATUS })]);
    expect([marks(bench, flight) & MARK.asks, bench.peek(STATUS)]).toEqual([MARK.asks, 0n]);
    while ((marks(bench, flight) & MARK.asks) !== 0) flight.step();
    bench.run();
    expect(bench.peek(STATUS)).toBe(1n);
    expect(bench.unit.scalableCaches?.iotlb.isEmpty()).toBe(true);
  });
});

/** Tables and requests at random: the answer in steps, whatever is cached and gone, is that at once; so are flags in memory, and faults. */
test.each([FIRST, SECOND, NESTED])('4.2.3, table 30: PGTT %i, in steps as at once', (pgtt) => {
  const random = new Random(pgtt);
  const seen = new Map<string, number>();
  for (let round = 0; round < 400; round++) {
    const seed = random.below(1 << 30);
    const results = [false, true].map((steps) => {
      const own = new Random(seed);
      const { bench, first, second } = make(pgtt, steps ? inSteps : {}, { ssade: own.below(2), eafe: own.below(2) });
      const leaves: bigint[] = [];
      const firstBits = () => (own.chance(70) ? 7n : BigInt(own.below(8))) | (own.chance(5) ? 1n << 51n : 0n);
      const secondBits = () => (own.chance(60) ? 3n : BigInt(own.below(4)));
      if (pgtt === NESTED) {
        bench.identity(second, 4, 3n);
        leaves.push(bench.put(second, 4, IOVA, PAGE | secondBits(), 1, 3n));
        leaves.push(bench.put(first, 4, IOVA, IOVA | firstBits(), 1, own.chance(70) ? 7n : 5n));
      } else if (pgtt === FIRST)
        leaves.push(bench.put(first, 4, IOVA, PAGE | firstBits(), 1, own.chance(70) ? 7n : 5n));
      else leaves.push(bench.put(second, 4, IOVA, PAGE | secondBits(), 1, own.chance(70) ? 3n : 1n));
      const answers: string[] = [];
      // The second one finds what the first has cached.
      for (let i = 0; i < 2; i++) {
        if (steps) {
          if (i === 0) withAts(bench);
          const flight = bench.issue(SID, IOVA, READ, 1, PASID);
          answers.push(answerInSteps(bench, flight, (n) => random.below(n)));
          const { dma } = bench.machine as NonNullable<typeof bench.machine>;
          if (flight.state !== 'over') dma.abort(flight.slot);
          expect(dma.get(flight.slot, SLOT.phase)).toBe(PHASE.free);
        } else answers.push(answerAtOnce(bench, IOVA, PASID));
        bench.clearFaults();
      }
      return [...answers, ...leaves.map((at) => bench.peek(at).toString(16))].join(', ');
    });
    expect(results[1]).toBe(results[0]);
    const [kind] = (results[0] ?? '').split(' ');
    seen.set(kind ?? '', (seen.get(kind ?? '') ?? 0) + 1);
  }
  expect(seen.size).toBeGreaterThan(2);
});
