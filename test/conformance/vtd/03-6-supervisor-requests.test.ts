/** VT-d 3.6.1, 3.6.2, 9.4, 9.6: requests with supervisor privilege, by their PASID prefix or by RID_PRIV; in steps as at once. */
import { describe, expect, test } from 'vitest';
import type { Entry } from './scalable-unit.ts';
import { FIRST, NESTED, PASS, ScalableBench, SECOND } from './scalable-unit.ts';
import { Random, READ, REG, WRITE } from './unit.ts';

const SID = 0x10;
const PASID = 5;
const RID_PASID = 9;
const IOVA = 0x40_0000n;
const PAGE = 0x12000n;
const PRIVILEGED = 1;

interface Setting {
  readonly pgtt: number;
  readonly entry: Entry;
  readonly ridPriv: number;
  /** Of the first-stage leaf, and of the entries above; of the second-stage leaf. */
  readonly leaf: bigint;
  readonly upper: bigint;
  readonly second: bigint;
}

interface Request {
  readonly pasid: number;
  readonly privileged: boolean;
  readonly access: number;
}

function bench({ pgtt, entry, ridPriv, leaf, upper, second }: Setting, steps: boolean) {
  const made = new ScalableBench(steps ? { dmaSlots: 1 } : {});
  made.setDevice(SID, { ridPasid: RID_PASID, ridPriv });
  const [first, ss] = [made.newTable(), made.newTable()];
  const leaves: bigint[] = [];
  if (pgtt === NESTED) made.identity(ss);
  if (pgtt !== FIRST) leaves.push(made.put(ss, 4, IOVA, PAGE | second, 1, 3n));
  if (pgtt !== SECOND) leaves.push(made.put(first, 4, IOVA, (pgtt === NESTED ? IOVA : PAGE) | leaf, 1, upper));
  for (const pasid of [PASID, RID_PASID]) made.setPasid(pasid, { pgtt, did: 1, first, second: ss, ...entry });
  made.startScalable();
  return { made, leaves };
}

/** Where it goes, or the reason with PRIV and PP of the record. */
function send(made: ScalableBench, { access, pasid, privileged }: Request, pick: (n: number) => number): string {
  let page: bigint | null = null;
  if (made.machine === null) {
    const answer = made.ask(SID, IOVA, { access, pasid, prefix: privileged ? PRIVILEGED : 0 });
    if ('page' in answer) page = answer.page;
  } else {
    const { requesters } = made.machine.dma;
    requesters.splice(0, requesters.length, {
      ...{ name: 'nic', sid: SID, did: 1, privileged },
      ...(pasid < 0 ? {} : { pasid }),
    });
    const flight = made.issue(SID, IOVA, access, 1, pasid < 0 ? undefined : pasid);
    if (flight.walk(pick)) {
      page = flight.page;
      flight.perform();
    }
  }
  const who = made.read32(REG.FRCD + 8);
  const [pp, priv] = [who >>> 31, (who >>> 29) & 1];
  const fault = `0x${made.recordedReason().toString(16)} PP ${pp} PRIV ${priv}`;
  made.clearFaults();
  return page === null ? fault : `0x${page.toString(16)}`;
}

const ORDINARY: Setting = { pgtt: FIRST, entry: { sre: 1, wpe: 1 }, ridPriv: 0, leaf: 7n, upper: 7n, second: 3n };
const SUPERVISOR: Request = { pasid: PASID, privileged: true, access: READ };

describe('3.6.1: who may', () => {
  test.each([
    ['a supervisor reads a supervisor page', { leaf: 3n }, {}, '0x12000'],
    ['a user does not', { leaf: 3n }, { privileged: false }, '0x81 PP 1 PRIV 0'],
    ['SPT.6: SRE = 0 refuses supervisors', { entry: { sre: 0 } }, {}, '0x5d PP 1 PRIV 1'],
    ['… and not users', { entry: { sre: 0 } }, { privileged: false }, '0x12000'],
    ['WPE = 1: a supervisor does not write what is read-only', { leaf: 5n }, { access: WRITE }, '0x85 PP 1 PRIV 1'],
    ['WPE = 0: it does', { leaf: 5n, entry: { sre: 1, wpe: 0 } }, { access: WRITE }, '0x12000'],
    [
      'WPE = 0 is not for users',
      { leaf: 5n, entry: { sre: 1 } },
      { access: WRITE, privileged: false },
      '0x85 PP 1 PRIV 0',
    ],
    ['RID_PRIV = 1 is the privilege of a request without PASID', { leaf: 3n, ridPriv: 1 }, { pasid: -1 }, '0x12000'],
    ['RID_PRIV = 0 is none', { leaf: 3n }, { pasid: -1 }, '0x81 PP 0 PRIV 0'],
    [
      'RID_PRIV is not that of a request with PASID',
      { leaf: 3n, ridPriv: 1 },
      { privileged: false },
      '0x81 PP 1 PRIV 0',
    ],
    ['a second stage has no privilege', { pgtt: SECOND, entry: { sre: 1 } }, { access: WRITE }, '0x12000'],
    ['… but SRE', { pgtt: SECOND }, {}, '0x12000'],
    ['… which refuses there too', { pgtt: SECOND, entry: { sre: 0 } }, {}, '0x5d PP 1 PRIV 1'],
  ] as [string, Partial<Setting>, Partial<Request>, string][])('%s', (_, setting, request, expected) => {
    for (const steps of [false, true]) {
      const { made } = bench({ ...ORDINARY, ...setting }, steps);
      expect(
        send(made, { ...SUPERVISOR, ...request }, () => 0),
        steps ? 'in steps' : 'at once',
      ).toBe(expected);
    }
  });

  test('6.2.4: a translation that one privilege has cached serves the other with its own rights alone', () => {
    for (const steps of [false, true]) {
      const { made } = bench({ ...ORDINARY, leaf: 0x65n, entry: { sre: 1, wpe: 0 } }, steps);
      const write = (privileged: boolean) => send(made, { pasid: PASID, privileged, access: WRITE }, () => 0);
      expect([write(true), write(false), write(true)]).toEqual(['0x12000', '0x85 PP 1 PRIV 0', '0x12000']);
    }
  });
});

test.each([
  ['first stage', FIRST],
  ['second stage', SECOND],
  ['nested', NESTED],
  ['pass-through', PASS],
])('random entries and requests, one after the other, in steps as at once: %s', (_, pgtt) => {
  const random = new Random(100 + pgtt);
  const seen = new Set<string>();
  for (let round = 0; round < 100; round++) {
    const bit = () => random.below(2);
    const entry = { sre: random.chance(80) ? 1 : 0, wpe: bit(), eafe: bit(), ssade: pgtt === PASS ? 0 : bit() };
    const leaf = random.chance(50) ? 7n : BigInt(random.below(8));
    const setting = {
      ...{ pgtt, entry, ridPriv: bit(), leaf },
      ...{ upper: random.pick([7n, 7n, 3n, 5n]), second: random.chance(70) ? 3n : BigInt(random.below(4)) },
    };
    const requests = Array.from({ length: 3 }, () => {
      const pasid = random.chance(70) ? PASID : -1;
      return { pasid, privileged: pasid >= 0 && random.chance(50), access: random.pick([READ, WRITE]) };
    });
    const results = [false, true].map((steps) => {
      const { made, leaves } = bench(setting, steps);
      const answers = requests.map((request) => send(made, request, (n) => random.below(n)));
      for (const answer of answers) seen.add(answer);
      return [...answers, ...leaves.map((at) => made.peek(at).toString(16))].join(', ');
    });
    expect(results[1]).toBe(results[0]);
  }
  expect(seen.size).toBeGreaterThan(1);
});
