/** Tables in their places, one thing at a time: what the tests of single clauses are written with. */
import type { Values } from '../../../src/bits/index.ts';
import type { CD, STE } from '../../../src/iommu/smmuv3/index.ts';
import { STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import type { BenchOptions } from './unit.ts';
import { Bench, MEMORY } from './unit.ts';

const STREAMS = MEMORY + 0x1_0000n;
const CONTEXTS = MEMORY + 0x1_1000n;
const FIRST_TABLE = MEMORY + 0x2_0000n;

/** Low bits of a stage-1 leaf without its type: AF, nG, AP 1 (everybody may read and write); of stage 2: AF, S2AP 3, Normal memory. */
export const LEAF = { both: 0xc40n, readOnly: 0xcc0n, global: 0x440n, second: 0x4fcn } as const;

/** Fields of an STE whose stage 2 takes 39 bits by a table of level 1 with 4 KiB, and records what faults. */
export const SECOND = { S2T0SZ: 25, S2SL0: 1, S2PS: 5, S2AA64: 1, S2R: 1 } as const;

export interface Shape {
  /** log2; 12 if absent. */
  readonly granule?: number;
  /** Bits of the address that the walk takes; if absent the first table is one table, all of which is used. */
  readonly input?: number;
  /** Level of the first table; 1 if absent. */
  readonly first?: number;
  /** Level of the leaf; 3 if absent. */
  readonly level?: number;
}

export class TableBench extends Bench {
  private next = FIRST_TABLE;

  constructor(options: BenchOptions = {}) {
    super(options);
    this.streamTable(STREAMS, 4);
    this.enable(1);
  }

  /** @returns the address of an empty table of 64 KiB at most */
  table(): bigint {
    const at = this.next;
    this.next += 0x1_0000n;
    return at;
  }

  steOf(sid: number, values: Partial<Values<typeof STE.fields>>): void {
    this.ste(STREAMS + 64n * BigInt(sid), values);
  }

  /** A stream that stage 1 translates: a range of 39 bits by a table of level 1 with 4 KiB. @returns the table */
  stage1(
    sid: number,
    context: Partial<Values<typeof CD.fields>> = {},
    stream: Partial<Values<typeof STE.fields>> = {},
  ) {
    const table = (context.TTB0 as bigint | undefined) ?? this.table();
    const at = CONTEXTS + 64n * BigInt(sid);
    this.steOf(sid, { Config: STE_CONFIG.s1, S1ContextPtr: at, ...stream });
    this.cd(at, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: sid, TTB0: table, ...context });
    return table;
  }

  /** A stream that stage 2 alone translates, see {@link SECOND}. @returns the table */
  stage2(sid: number, stream: Partial<Values<typeof STE.fields>> = {}): bigint {
    const table = (stream.S2TTB as bigint | undefined) ?? this.table();
    this.steOf(sid, { Config: STE_CONFIG.s2, ...SECOND, S2TTB: table, ...stream });
    return table;
  }

  /** A stream that both stages translate; stage 2 maps all memory to where it is, and the first 2 MiB of addresses. @returns the tables of stage 1 and of stage 2 */
  nested(
    sid: number,
    context: Partial<Values<typeof CD.fields>> = {},
    stream: Partial<Values<typeof STE.fields>> = {},
  ): { readonly table: bigint; readonly under: bigint } {
    const under = this.table();
    for (const block of new Set([0n, MEMORY, MEMORY + 0x20_0000n]))
      this.map(under, block, block, LEAF.second, { level: 2 });
    const table = this.stage1(sid, context, { Config: STE_CONFIG.s1s2, ...SECOND, S2TTB: under, ...stream });
    return { table, under };
  }

  /** The descriptor's place for an address in tables that are made as they are needed. */
  place(table: bigint, address: bigint, { granule = 12, input, first = 1, level = 3 }: Shape = {}): bigint {
    let at = table;
    const stride = granule - 3;
    for (let now = first; ; now++) {
      const shift = BigInt(granule + stride * (3 - now));
      const width = now === first && input !== undefined ? BigInt(input) - shift : BigInt(stride);
      const slot = at + ((address >> shift) & ((1n << width) - 1n)) * 8n;
      if (now === level) return slot;
      if ((this.peek(slot) & 1n) === 0n) this.poke(slot, this.table() | 3n);
      at = this.peek(slot) & 0xffff_ffff_f000n;
    }
  }

  /** Maps an address. @returns where its descriptor is */
  map(table: bigint, address: bigint, to: bigint, low: bigint = LEAF.both, shape: Shape = {}): bigint {
    const at = this.place(table, address, shape);
    this.poke(at, to | low | ((shape.level ?? 3) === 3 ? 3n : 1n));
    return at;
  }
}
