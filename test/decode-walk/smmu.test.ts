/** `explain --walk` on an SMMUv3, against the second translator of the conformance suite, on its random worlds: tables that are made while they are walked. */
import { expect, test } from 'vitest';
import type { WalkEnd, Words } from '../../src/decode/index.ts';
import { decodeNamed, Tables, WalkRefused, walkSmmu } from '../../src/decode/index.ts';
import { EVENTS } from '../../src/iommu/smmuv3/events.ts';
import { FRAMES, MAKES, optionsOf, World } from '../conformance/smmuv3/random-world.ts';
import type { Make, Registers, Result } from '../conformance/smmuv3/reference.ts';
import { translate } from '../conformance/smmuv3/reference.ts';
import { Bench } from '../conformance/smmuv3/unit.ts';
import { Seen } from './world.ts';

/** Those that have every feature: what IDR0 and IDR3 leave out is not held against entries of a dump. */
const FULL = MAKES.slice(0, 2);
const MEMORY = BigInt(FRAMES) << 12n;
/** What a fetch that nothing answers is, here: a word that the dump has not. */
const UNREADABLE = ['F_STE_FETCH', 'F_CD_FETCH', 'F_WALK_EABT'];

function tablesOf(bench: Bench, make: Make, { base, e2h, log2, split }: Registers): Tables {
  const has = (at: bigint) => at + 8n <= MEMORY;
  const words: Words = {
    has,
    get: (at) => (has(at) ? bench.peek(at) : undefined),
    size: Number(MEMORY / 8n),
    set() {
      throw new Error('a walk changes nothing');
    },
  };
  const tables = new Tables(words);
  const give = (kind: string, word: bigint) => tables.give(decodeNamed(`smmuv3.${kind}`, [word]));
  give('strtab-base', base);
  give('strtab-base-cfg', BigInt(log2) | (BigInt(split) << 6n) | (split === 0 ? 0n : 1n << 16n));
  give('cr2', e2h ? 1n : 0n);
  give('idr0', BigInt(make.ATS as number) << 10n);
  give('idr1', BigInt(make.SIDSIZE as number) | (BigInt(make.SSIDSIZE as number) << 6n) | (1n << 26n));
  give('idr5', BigInt(make.OAS as number) | (BigInt(make.VAX as number) << 10n));
  return tables;
}

function same(end: WalkEnd, want: Result): boolean {
  if ('address' in want) return 'address' in end && end.kind !== 'missing' && end.address === want.address;
  if (want.event === null) return end.kind === 'refused';
  if (end.kind === 'missing') return UNREADABLE.includes(want.event);
  return end.kind === 'fault' && end.code.name === want.event;
}

test.each(FULL)('%s', (_, make) => {
  const bench = new Bench(optionsOf(make));
  const seen = new Seen();
  for (let seed = 0; seed < 400; seed++) {
    const world = new World(seed, make, bench);
    const tables = tablesOf(bench, make, world.regs);
    for (let n = 0; n < 12; n++) {
      const asked = world.request();
      const plain = { ...asked, instruction: false, privileged: false };
      const [read, write] = [false, true].map((writes) =>
        translate(make, world.regs, world, { ...plain, read: !writes, write: writes }),
      ) as [Result, Result];
      if (world.tainted) break;
      const { address, sid, ssid } = asked;
      const question = { address, device: `0x${sid.toString(16)}`, pasid: ssid < 0 ? null : ssid };
      let result: ReturnType<typeof walkSmmu>;
      try {
        result = walkSmmu(tables, question);
      } catch (error) {
        // Formats of 32 bits: a unit without them says that the entry is bad.
        if (!(error instanceof WalkRefused && error.message.includes('is not walked here'))) throw error;
        seen.add('not walked');
        continue;
      }
      for (const [access, want] of [
        ['read', read],
        ['write', write],
      ] as const) {
        const end = result[access];
        const what = `world ${seed}: ${access} of ${sid}/${ssid} at 0x${address.toString(16)}`;
        if (!same(end, want)) expect({ end, what, steps: result.steps.map((step) => step.what) }).toEqual(want);
        seen.add('walk');
        seen.add('address' in want ? `page ${want.stages}` : (want.event ?? 'silent'));
        if ('address' in want) for (const size of want.sizes) seen.add(`2^${size}`);
        // Of an event that a transaction is answered with, whether it is recorded is told.
        if (end.kind === 'fault' && 'recorded' in want)
          expect(end.why?.includes('not recorded') ?? false, what).toBe(!want.recorded);
      }
    }
  }
  const events = Object.values(EVENTS).map(({ name }) => name);
  const often = [
    'C_BAD_STREAMID',
    'C_BAD_STE',
    'C_BAD_SUBSTREAMID',
    'F_STREAM_DISABLED',
    'C_BAD_CD',
    'F_TRANSLATION',
    'F_ADDR_SIZE',
    'F_ACCESS',
    'F_PERMISSION',
  ];
  for (const name of often) {
    expect(events).toContain(name);
    expect(seen.of(name), `${name}; ${seen.text}`).toBeGreaterThan(20);
  }
  expect(seen.of('walk')).toBeGreaterThan(5000);
  // Pages of every granule, and blocks.
  for (const size of [12, 14, 16, 21, 25, 29, 30]) expect(seen.of(`2^${size}`), seen.text).toBeGreaterThan(50);
  for (const stages of [0, 1, 2, 3]) expect(seen.of(`page ${stages}`), seen.text).toBeGreaterThan(50);
});
