/**
 * Where a request leads by a script's tables, as the stores before it have left them: by the letter, without caches, and without an opinion on
 * what is refused. For deviations, which say what they are about.
 */
import { get, getAddress } from '../../../src/bits/index.ts';
import { CD, L1STD, STE } from '../../../src/iommu/smmuv3/index.ts';
import { isRequest } from '../common-operations.ts';
import { SID } from './machine.ts';
import type { Script } from './script.ts';
import { sizeBits } from './tables.ts';

/** A descriptor on the way. */
export interface Step {
  readonly stage: 1 | 2;
  readonly granule: number;
  readonly level: number;
  readonly at: bigint;
  readonly value: bigint;
  readonly kind: 'invalid' | 'table' | 'block' | 'page';
}

export interface Look {
  readonly sid: number;
  readonly iova: bigint;
  readonly isWrite: boolean;
  readonly ste: Readonly<Record<string, number | bigint>>;
  readonly steWords: Int32Array;
  /** Null where there is no stage 1. */
  readonly cd: Int32Array | null;
  /** Of stage 1 the walk, of stage 2 that of the address that stage 1 gives. */
  readonly first: readonly Step[];
  readonly second: readonly Step[];
  /** Of stage 2 the walks of the addresses of stage 1's tables, but for the first. */
  readonly tables: readonly (readonly Step[])[];
  /** Those of the addresses of both first tables, of which a request uses one. */
  readonly tops: readonly (readonly Step[])[];
  /** What stage 1 gives; the input address without it. Null where it gives none. */
  readonly ipa: bigint | null;
}

const GRANULE0: Readonly<Record<number, number>> = { 0: 12, 1: 16, 2: 14 };
const GRANULE1: Readonly<Record<number, number>> = { 1: 14, 2: 12, 3: 16 };
/** Bits 47:12 of a descriptor. */
const ADDRESS = 0xfffffffff000n;

class Memory {
  private readonly words = new Map<number, bigint>();

  constructor(script: Script, end: number) {
    for (const op of script.slice(0, end)) {
      if (op.op === 'store') this.words.set(op.at, op.value);
      else if (op.op === 'ste') op.words.forEach((word, i) => this.words.set(op.at + 8 * i, word));
    }
  }

  read(at: bigint): bigint {
    return this.words.get(Number(at)) ?? 0n;
  }

  halves(at: bigint, count: number): Int32Array {
    const out = new Int32Array(count);
    for (let i = 0; i < count; i += 2) {
      const word = this.read(at + BigInt(4 * i));
      out[i] = Number(BigInt.asIntN(32, word));
      out[i + 1] = Number(BigInt.asIntN(32, word >> 32n));
    }
    return out;
  }
}

/** The last value written to a register before an operation. */
export function registerAt(script: Script, end: number, offset: number): bigint {
  let value = 0n;
  for (const op of script.slice(0, end)) if (op.op === 'reg' && op.offset === offset) value = op.value;
  return value;
}

/** @returns null where the operation is no request */
export function look(script: Script, index: number): Look | null {
  const op = script[index];
  if (!isRequest(op)) return null;
  const sid = op.op === 'dma' ? SID.testdev[op.device] : SID.edu;
  const isWrite = op.op === 'dma' || op.write;
  const memory = new Memory(script, index);
  const words = memory.halves(steAddress(script, index, memory, sid), 16);
  const config = get(STE.Config, words);
  const ste = { V: get(STE.V, words), Config: config };
  const nothing = { cd: null, first: [], second: [], tables: [], tops: [], ipa: null };
  const none = { sid, iova: op.iova, isWrite, ste, steWords: words, ...nothing };
  if (ste.V === 0 || config < 4) return none;
  const cd = (config & 1) === 0 ? null : memory.halves(getAddress(STE.S1ContextPtr, words), 16);
  let ipa: bigint | null = op.iova;
  let first: readonly Step[] = [];
  if (cd !== null) {
    first = walkFirst(memory, cd, op.iova);
    ipa = output(first.at(-1), op.iova);
  }
  const second = (config & 2) !== 0 && ipa !== null ? walkSecond(memory, words, ipa) : [];
  if (cd === null || (config & 2) === 0) return { ...none, cd, first, second, ipa };
  const tables = first
    .filter(({ kind }) => kind === 'table')
    .map(({ value, granule }) => walkSecond(memory, words, value & ADDRESS & ~((1n << BigInt(granule)) - 1n)));
  const tops = [];
  if (get(CD.EPD0, cd) === 0) tops.push(walkSecond(memory, words, getAddress(CD.TTB0, cd)));
  if (get(CD.EPD1, cd) === 0) tops.push(walkSecond(memory, words, getAddress(CD.TTB1, cd)));
  return { ...none, cd, first, second, tables, tops, ipa };
}

function steAddress(script: Script, index: number, memory: Memory, sid: number): bigint {
  const base = registerAt(script, index, 0x80) & 0xffffffffffc0n;
  const cfg = Number(registerAt(script, index, 0x88));
  if (((cfg >>> 16) & 3) === 0) return base + BigInt(64 * sid);
  const split = (cfg >>> 6) & 0x1f;
  const one = memory.halves(base + BigInt(8 * (sid >> split)), 2);
  return getAddress(L1STD.L2Ptr, one) + BigInt(64 * (sid & ((1 << split) - 1)));
}

function walkFirst(memory: Memory, cd: Int32Array, iova: bigint): Step[] {
  const upper = (iova >> 55n) & 1n;
  const granule = upper === 1n ? GRANULE1[get(CD.TG1, cd)] : GRANULE0[get(CD.TG0, cd)];
  const bits = 64 - get(upper === 1n ? CD.T1SZ : CD.T0SZ, cd);
  if (granule === undefined || get(upper === 1n ? CD.EPD1 : CD.EPD0, cd) === 1) return [];
  const start = 4 - Math.floor((bits - 4) / (granule - 3));
  const table = getAddress(upper === 1n ? CD.TTB1 : CD.TTB0, cd);
  return walk(memory, 1, granule, start, table, iova & ((1n << BigInt(bits)) - 1n));
}

function walkSecond(memory: Memory, ste: Int32Array, ipa: bigint): Step[] {
  const granule = GRANULE0[get(STE.S2TG, ste)];
  if (granule === undefined) return [];
  const start = (granule === 12 ? 2 : 3) - get(STE.S2SL0, ste);
  return walk(memory, 2, granule, start, getAddress(STE.S2TTB, ste), ipa);
}

/** The top table may have more entries than others: those of stage 2 one behind another. */
function walk(memory: Memory, stage: 1 | 2, granule: number, start: number, top: bigint, input: bigint): Step[] {
  const steps: Step[] = [];
  let table = top;
  for (let level = start; level <= 3; level++) {
    const shift = BigInt(sizeBits(granule, level));
    const all = input >> shift;
    const index = level === start ? all : all & ((1n << BigInt(granule - 3)) - 1n);
    const at = table + 8n * index;
    const value = memory.read(at);
    const kind = kindOf(value, level);
    steps.push({ stage, granule, level, at, value, kind });
    if (kind !== 'table') break;
    table = value & ADDRESS & ~((1n << BigInt(granule)) - 1n);
  }
  return steps;
}

function kindOf(value: bigint, level: number): Step['kind'] {
  if ((value & 1n) === 0n || (level === 3 && (value & 2n) === 0n)) return 'invalid';
  if ((value & 2n) === 0n) return 'block';
  return level === 3 ? 'page' : 'table';
}

/** Where a leaf leads; null where it is none. */
export function output(leaf: Step | undefined, input: bigint): bigint | null {
  if (leaf === undefined || leaf.kind === 'invalid' || leaf.kind === 'table') return null;
  const mask = (1n << BigInt(sizeBits(leaf.granule, leaf.level))) - 1n;
  return (leaf.value & ADDRESS & ~mask) | (input & mask);
}

/** Span of the level-1 descriptor of a stream, and the stream's index in what it points at; null for a linear table. */
export function spanOf(script: Script, index: number, sid: number): { span: number; index: number } | null {
  const cfg = Number(registerAt(script, index, 0x88));
  if (((cfg >>> 16) & 3) === 0) return null;
  const split = (cfg >>> 6) & 0x1f;
  const at = (registerAt(script, index, 0x80) & 0xffffffffffc0n) + BigInt(8 * (sid >> split));
  const one = new Memory(script, index).halves(at, 2);
  return { span: get(L1STD.Span, one), index: sid & ((1 << split) - 1) };
}
