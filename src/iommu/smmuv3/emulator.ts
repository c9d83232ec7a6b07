/** An SMMU for an emulator or a VMM: register accesses and translations, everything at once. */
import { EmulatedUnit } from '../kit/emulated-unit.ts';
import { given } from '../kit/given.ts';
import type { GuestBuffer, GuestMemory } from '../kit/guest-memory.ts';
import { guestMemory } from '../kit/guest-memory.ts';
import type { AtsCompletion } from './ats-completion.ts';
import type { CacheSizes } from './cache-entries.ts';
import type { SmmuParts } from './core.ts';
import type { SmmuUnitOptions } from './model.ts';
import { Smmu } from './model.ts';

/** Where what the SMMU sends goes; see {@link SmmuParts}. */
type Sinks = Pick<SmmuParts, 'message' | 'wire' | 'sendEvent' | 'invalidateAtc' | 'pageResponse' | 'stallResolved'>;

export interface SmmuEmulatorOptions extends SmmuUnitOptions, Sinks {
  /** Guest memory: tables and commands are read there, events, page requests and MSIs are written there. */
  readonly memory: GuestBuffer | GuestMemory;
}

const CACHES: CacheSizes = {
  ...{ ste: 256, cd: 256, levelOne: 16, configurationSets: 64 },
  ...{ tlbSets: 1024, tlbWays: 4, ipaSets: 512, ipaWays: 4, walk: 512, walkSets: 128 },
};

/** Words for what is in the unit besides caches: its registers, and places for stalls. */
const OTHER_WORDS = 1 << 14;
const STALL_WORDS = 2;
const BLOCK_WORDS = 6;
const STRUCTURE_WORDS = 10;

/**
 * The unit as a guest sees it, with what a guest asks for done when the call returns. Register accesses are of 4 or 8 bytes, aligned: others read as
 * zero and are dropped (6.2); registers are in page 0 and, from 0x10000 on, in page 1 (6.1). Whatever guests write, to registers, tables or queues, is answered
 * as SMMUv3 says; nothing of it throws. Options that no hardware could have throw a RangeError with one line.
 */
export class SmmuEmulator extends EmulatedUnit<Smmu> {
  constructor(options: SmmuEmulatorOptions) {
    const { memory: guest, message, wire, sendEvent, invalidateAtc, pageResponse, stallResolved, ...unit } = options;
    const caches = { ...CACHES, ...unit.caches };
    const blocks = caches.tlbSets * caches.tlbWays + caches.ipaSets * caches.ipaWays + 2 * caches.walk;
    const structures = caches.ste + caches.cd + 2 * caches.levelOne;
    const stalls = STALL_WORDS * (unit.stalls ?? unit.idr5?.STALL_MAX ?? 0);
    const memory = guestMemory(guest);
    const sinks = given({ message, wire, sendEvent, invalidateAtc, pageResponse, stallResolved });
    super(
      OTHER_WORDS + stalls + BLOCK_WORDS * blocks + STRUCTURE_WORDS * structures,
      (arena) => new Smmu({ arena, tables: memory, memory, ...sinks }, { ...unit, caches }),
    );
  }

  /**
   * A device's transaction. It must not cross a page of the smallest granule, and holds to the end of that page.
   * @param stream StreamID. @param substream SubstreamID (a PASID); −1 for none
   * @param address byte address as the device sends it; a bigint, or a number where that is exact (below 2^53)
   * @param kind REQUEST.read, .write, .atomic, with `| REQUEST.privileged`, `| REQUEST.instruction`, …
   * @returns the byte address in guest memory, 0 to 2^52 − 1; −(event number) where it is refused, the event being recorded as the configuration
   * says, with {@link outcome}; −256 where it is refused silently
   */
  translate(stream: number, substream: number, address: number | bigint, kind: number): number {
    let hi: number;
    let lo: number;
    if (typeof address === 'bigint') {
      lo = Number(BigInt.asIntN(32, address));
      hi = Number(BigInt.asIntN(32, address >> 32n));
    } else {
      const upper = Math.floor(address / 2 ** 32);
      hi = upper | 0;
      lo = (address - upper * 2 ** 32) | 0;
    }
    const result = this.translateHalves(stream, substream, hi, lo, kind);
    if (result === 0) return (this.outHi >>> 0) * 2 ** 32 + (this.outLo >>> 0);
    return result < 0 ? SILENT : -result;
  }

  /**
   * {@link translate} in halves of 32 bits, which never allocates.
   * @returns 0, with {@link outHi} and {@link outLo}; the number of an event; −1 where it is refused silently
   */
  translateHalves(stream: number, substream: number, hi: number, lo: number, kind: number): number {
    return this.unit.translate(stream >>> 0, substream < 0 ? -1 : substream & 0xfffff, hi | 0, lo | 0, kind);
  }

  get outHi(): number {
    return this.unit.outHi;
  }

  get outLo(): number {
    return this.unit.outLo;
  }

  /** Of a transaction that faulted: OUTCOME.abort, .razwi, .stalled (then {@link Smmu.stag} says where) or .noPlace. */
  get outcome(): number {
    return this.unit.outcome;
  }

  /** What the last ATS translation request was answered. The object stays the same. */
  get completion(): AtsCompletion {
    return this.unit.completion;
  }
}

/** Result of {@link SmmuEmulator.translate} where a transaction is refused without an event. */
export const SILENT = -256;
