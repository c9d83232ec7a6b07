/** Random small programs on an SMMU, each of a seed: what several searches or conducts must agree on. See `random-programs.ts`. */
import { encode } from '../src/bits/index.ts';
import { randomFrom } from '../src/explore/index.ts';
import { CommandQueue } from '../src/guest/smmuv3/command-queue.ts';
import {
  CD,
  CMD_CFGI_CD,
  CMD_CFGI_STE,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
  CMDQ_BASE,
  CR0,
  PROFILES,
  SMMU_SLOT_WORDS,
  Smmu,
  STE,
  STE_CONFIG,
  STRTAB_BASE,
  STRTAB_BASE_CFG,
} from '../src/iommu/smmuv3/index.ts';
import type { Program } from '../src/machine/index.ts';
import { Machine } from '../src/machine/index.ts';
import type { Subject } from './random-programs.ts';

const AT = {
  ...{ streams: 0x10_0000n, contexts: 0x10_1000n, queue: 0x10_2000n },
  ...{ level2: 0x10_4000n, level3: 0x10_5000n, other3: 0x10_6000n, s2level2: 0x10_8000n, s2level3: 0x10_9000n },
} as const;
const FRAMES = [0x20_0000n, 0x20_1000n];
const SID = 1;
const TABLE = 3n;
/** AF, nG, AP 1: a page that everybody may write; of stage 2 MemAttr 15, S2AP 3. */
const PAGE = 0x400n | 0x800n | 0x40n | 3n;
const READ_ONLY = 0x80n;
const PAGE2 = 0x400n | 0xc0n | 0x3cn | 3n;

/**
 * Stores of descriptors, CDs and STEs, invalidations by command, DMA, stray DMA, canaries: the random SMMU program of a seed, of stage 1, stage 2 or
 * both. Built anew for every run, always the same.
 */
export function randomSmmu(seed: number): Subject {
  const random = randomFrom(seed);
  const stages = random(6);
  const config = stages < 3 ? STE_CONFIG.s1 : stages < 5 ? STE_CONFIG.s2 : STE_CONFIG.s1s2;
  const second = (config & 2) !== 0;
  const machine = new Machine({ dmaSlots: 2, translatorWords: SMMU_SLOT_WORDS });
  const kernel = machine.owner('the kernel', 'other');
  const tables = machine.owner('tables', 'table', 1);
  const buffer = machine.owner('buffer', 'buffer', 1);
  const words = (count: number) => Array.from({ length: count }, (_, i) => i);
  machine.frame('stream table', AT.streams, kernel, words(16));
  machine.frame('contexts', AT.contexts, second ? tables : kernel, words(8));
  machine.frame('queue', AT.queue, kernel, words(16));
  machine.frame('level 2', AT.level2, tables, [0]);
  machine.frame('level 3', AT.level3, tables, [0, 1]);
  machine.frame('another level 3', AT.other3, tables, [0, 1]);
  FRAMES.forEach((addr, i) => machine.frame(`F${i}`, addr, buffer, [0]));
  const unit = new Smmu(
    {
      arena: machine.arena,
      tables: machine.memory.walkerView(),
      memory: machine.memory,
      dma: machine.dma,
      log: machine.log,
      rules: machine.rules,
    },
    {
      profile: PROFILES[random(4) === 0 ? 1 : 0],
      idr1: { SSIDSIZE: 0 },
      idr3: { BBML: random(3) },
      stalls: 0,
      idr0: { STALL_MODEL: 1 },
      idr5: { STALL_MAX: 0 },
      caches: { ste: 1, cd: 1, levelOne: 0, tlbWays: 4, ipaWays: 8, walk: 4 },
    },
  );
  machine.dma.translator = unit;
  machine.hardware.push(...unit.agents);
  const poke = (addr: bigint, value: bigint) => machine.poke(addr, value);
  const store = (addr: bigint, entry: readonly bigint[]) =>
    entry.forEach((word, i) => poke(addr + 8n * BigInt(i), word));
  const ste = AT.streams + 64n * BigInt(SID);
  store(
    ste,
    encode(STE, {
      ...{ V: 1, Config: config, S1ContextPtr: AT.contexts, S2VMID: 5, S2T0SZ: 39, S2SL0: 0, S2PS: 5, S2AA64: 1 },
      ...{ S2R: 0, S2TTB: config === STE_CONFIG.s2 ? AT.level2 : AT.s2level2 },
    }),
  );
  const context = { V: 1, AA64: 1, T0SZ: 39, EPD1: 1, IPS: 5, A: 1, ASID: 9, TTB0: AT.level2 } as const;
  store(AT.contexts, encode(CD, context));
  const leaf = config === STE_CONFIG.s2 ? PAGE2 : PAGE;
  poke(AT.level2, AT.level3 | TABLE);
  poke(AT.level3, FRAMES[0] | leaf);
  poke(AT.other3, FRAMES[1] | leaf);
  if (config === STE_CONFIG.s1s2) {
    // Stage 2 maps 2 MiB and 2 MiB, both as they are; the first by pages.
    machine.frame('stage 2, level 2', AT.s2level2, tables, [0, 1]);
    const named = [AT.contexts, AT.level2, AT.level3, AT.other3].map((addr) => Number(addr >> 12n) & 511);
    machine.frame('stage 2, level 3', AT.s2level3, tables, named);
    poke(AT.s2level2, AT.s2level3 | TABLE);
    poke(AT.s2level2 + 8n, 0x20_0000n | (PAGE2 & ~2n));
    for (const index of named) poke(AT.s2level3 + 8n * BigInt(index), (BigInt(0x100 | (index & 0xff)) << 12n) | PAGE2);
  }
  const write = (offset: number, size: 4 | 8, value: bigint) =>
    unit.write(offset, size, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  write(CMDQ_BASE.offset, 8, AT.queue | 3n);
  write(STRTAB_BASE.offset, 8, AT.streams);
  write(STRTAB_BASE_CFG.offset, 4, 1n);
  write(CR0.offset, 4, BigInt((1 << CR0.SMMUEN.lo) | (1 << CR0.CMDQEN.lo)));
  unit.settle();
  const cpu = machine.cpu();
  const queue = new CommandQueue(machine, cpu, { smmu: unit, base: AT.queue, log2size: 3 });
  const device = machine.device('nic', SID, 1, [0n, 0x1000n]);
  const statuses = [0, 1, 2, 3].map((i) => machine.word(`status ${i}`));

  const leafOnly = random(2);
  const vmid = { VMID: 5 };
  const flushes = [
    encode(CMD_TLBI_NH_VA, { ...vmid, ASID: 9, Address: 0n, Leaf: leafOnly }),
    encode(CMD_TLBI_NH_ASID, { ...vmid, ASID: 9 }),
    encode(CMD_TLBI_NH_ALL, vmid),
    encode(CMD_TLBI_S2_IPA, { ...vmid, Address: 0n, Leaf: leafOnly }),
    encode(CMD_TLBI_S12_VMALL, vmid),
    encode(CMD_CFGI_CD, { StreamID: SID, SubstreamID: 0, Leaf: 1 }),
    encode(CMD_CFGI_STE, { StreamID: SID, Leaf: 1 }),
  ];
  const steps: (() => Program)[] = [];
  const length = 2 + random(3);
  const asid = encode(CD, { ...context, ASID: 8 })[0];
  for (let i = 0; i < length; i++) {
    const frame = FRAMES[random(2)];
    const how = random(4);
    const value = how === 0 ? 0n : frame | (how === 1 && leaf === PAGE ? leaf | READ_ONLY : leaf);
    const status = statuses[i % 4];
    const flush = flushes[random(flushes.length)];
    const waits = random(4) !== 0;
    const redirects = random(2) === 0;
    const kind = random(2) === 0 ? 'read' : 'write';
    const step: () => Program = [
      () => cpu.write64(AT.level3, value),
      () => cpu.write64(AT.level3, value),
      () => (waits ? queue.issueWithSync([flush], 'an invalidation') : queue.issue([flush], 'an invalidation')),
      () => queue.issueWithSync([flush], 'an invalidation'),
      () => cpu.write64(AT.level2, redirects ? AT.other3 | TABLE : 0n),
      () => cpu.write64(frame, BigInt(i + 1)),
      () => (second ? cpu.write64(ste, 0n) : cpu.write64(AT.contexts, asid)),
      function* () {
        const ok = yield* device.dmaStatus(0n, kind);
        yield* status.set(1 + ok);
      },
    ][random(8)];
    steps.push(step);
  }
  machine.actor('driver', function* () {
    for (const step of steps) yield* step();
  });
  const aims = random(3) === 0 ? [0n, 0n] : [0n];
  machine.actor(
    'stray',
    function* () {
      for (const aim of aims) yield* device.issue(aim, 'write');
    },
    'device',
  );

  const outcome = (): string => {
    const values = FRAMES.map((addr) => machine.memory.lo(machine.memory.locate(Number(addr >> 12n), 0)));
    return [...values, ...statuses.map((s) => s.value)].join(' ');
  };
  return { machine, outcome };
}
