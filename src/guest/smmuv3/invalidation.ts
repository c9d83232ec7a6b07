/** What is invalidated when translations are gone (`arm_smmu_tlb_inv_range_domain`, `arm_smmu_atc_inv_domain`, v6.12). */
import { encode, hex } from '../../bits/index.ts';
import {
  CMD_ATC_INV,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
} from '../../iommu/smmuv3/commands.ts';
import type { Program } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import type { CommandQueue, SmmuCommand } from './command-queue.ts';

/** By what the TLB's entries of a domain are tagged. */
export type TlbTag =
  | { readonly stage: 1; readonly asid: number; readonly vmid?: number }
  | { readonly stage: 2; readonly vmid: number };

/** Pages of which translations are gone. */
export interface PageRange {
  /** First input page, of 4 KiB. */
  readonly first: number;
  readonly pages: number;
  /** Level of the leaves: 1 pages, 2 blocks of 2 MiB, 3 of 1 GiB. */
  readonly level: number;
  /** No table was taken out: nothing above leaves has to go. */
  readonly leafOnly: boolean;
}

/** Which caches are invalidated, and in which order: the TLB first, as the other way round a device may ask again, and be answered from it (3.9.1). */
export type AtcOrder = 'tlbi-only' | 'atc-first' | 'tlbi-first';

/** Devices of a domain that have translations of their own. */
export interface AtcOwners {
  /** StreamIDs of those with ATS on, now: `arm_smmu_atc_inv_domain` looks at the counter, then at the list. */
  streams(): Program<readonly number[]>;
}

/** Devices of a domain that nobody enters or leaves. */
export function settledOwners(...sids: number[]): AtcOwners {
  return {
    *streams() {
      yield* [];
      return sids;
    },
  };
}

export interface SmmuInvalidationOptions {
  readonly tag: TlbTag;
  /** IDR3.RIL: one command takes a range. */
  readonly ranges: boolean;
  /** Absent: no device has ATS. */
  readonly atc?: AtcOwners;
  /** `tlbi-first` if absent. */
  readonly order?: AtcOrder;
  /** A mutant: TLBs are not invalidated. */
  readonly noTlbi?: boolean;
  /** A mutant: Leaf of every command. */
  readonly leafOnly?: boolean;
}

/** Most commands that go with one CMD_SYNC (`CMDQ_BATCH_ENTRIES`). */
const BATCH = 64;

/** log2 of a page; TG of it (4.4.1.1). */
const PAGE_BITS = 12;
const TG_4K = 1;
const MOST_GRANULES = 31;

/** Size of a CMD_ATC_INV of everything (4.5.1). */
const EVERY_PAGE = 52;

/** Operands of the commands for a range (`__arm_smmu_tlb_inv_range`); the level of leaves is counted from the top in TTL. */
export function rangeOperands({ first, pages, level, leafOnly }: PageRange): {
  readonly Address: bigint;
  readonly SCALE: number;
  readonly NUM: number;
  readonly TG: number;
  readonly TTL: number;
  readonly Leaf: number;
}[] {
  const operands = [];
  let [at, left] = [first, pages];
  // One granule without TTL and with SCALE 0 is no range that errata would allow: it becomes two.
  if (!leafOnly && (left & MOST_GRANULES) === 1) left++;
  while (left > 0) {
    const SCALE = trailingZeros(left);
    const count = Math.floor(left / 2 ** SCALE) % (MOST_GRANULES + 1);
    operands.push({
      ...{ Address: BigInt(at) << 12n, SCALE, NUM: count - 1, TG: TG_4K },
      ...{ TTL: leafOnly ? 4 - level : 0, Leaf: leafOnly ? 1 : 0 },
    });
    at += count * 2 ** SCALE;
    left -= count * 2 ** SCALE;
  }
  return operands;
}

function trailingZeros(n: number): number {
  let zeros = 0;
  while (n % 2 ** (zeros + 1) === 0) zeros++;
  return zeros;
}

/** Operands of a CMD_ATC_INV that covers a range: an aligned power of two of pages (`arm_smmu_atc_inv_to_cmd`). */
export function atcOperands(first: number, pages: number): { readonly Address: bigint; readonly Size: number } {
  const last = first + pages - 1;
  let Size = 0;
  while (Math.floor(first / 2 ** Size) !== Math.floor(last / 2 ** Size)) Size++;
  return { Address: BigInt(first - (first % 2 ** Size)) << BigInt(PAGE_BITS), Size };
}

export class SmmuInvalidation {
  private readonly queue: CommandQueue;
  private readonly options: SmmuInvalidationOptions;

  constructor(queue: CommandQueue, options: SmmuInvalidationOptions) {
    this.queue = queue;
    this.options = options;
  }

  /** As another CPU does it. @param queue as that CPU uses it */
  on(queue: CommandQueue): SmmuInvalidation {
    return new SmmuInvalidation(queue, this.options);
  }

  /** Invalidates a range wherever it may be cached, and returns when that is complete. */
  flushRange(range: PageRange): Program {
    const { first, pages } = range;
    return this.inOrder(() => this.tlbi(range), { ...atcOperands(first, pages) });
  }

  /** Everything of the domain (`arm_smmu_tlb_inv_context`). */
  flushAll(): Program {
    const { tag } = this.options;
    const command =
      tag.stage === 1
        ? encode(CMD_TLBI_NH_ASID, { ASID: tag.asid, VMID: tag.vmid ?? 0 })
        : encode(CMD_TLBI_S12_VMALL, { VMID: tag.vmid });
    const what = tag.stage === 1 ? `TLBI_NH_ASID ASID ${tag.asid}` : `TLBI_S12_VMALL VMID ${tag.vmid}`;
    return this.inOrder(() => this.issueTlbi([command], what), { Address: 0n, Size: EVERY_PAGE });
  }

  private *inOrder(tlbi: () => Program, range: { readonly Address: bigint; readonly Size: number }): Program {
    const { order = 'tlbi-first' } = this.options;
    if (order === 'atc-first') yield* this.atcInv(range);
    yield* tlbi();
    if (order === 'tlbi-first') yield* this.atcInv(range);
  }

  private *tlbi(range: PageRange): Program {
    const leafOnly = this.options.leafOnly ?? range.leafOnly;
    const commands = this.operands({ ...range, leafOnly }).map((operands) => this.command(operands));
    const { first, pages } = range;
    const name = this.options.tag.stage === 1 ? 'TLBI_NH_VA' : 'TLBI_S2_IPA';
    const what = `${name} ${hex(first * 4096)}, ${pages} ${pages === 1 ? 'page' : 'pages'}, Leaf=${leafOnly ? 1 : 0}, ${this.tagText()}`;
    for (let i = 0; i < commands.length; i += BATCH) yield* this.issueTlbi(commands.slice(i, i + BATCH), what);
  }

  /** Without IDR3.RIL there is one command for each leaf, without a size. */
  private operands(range: PageRange): { readonly Address: bigint; readonly Leaf: number }[] {
    if (this.options.ranges) return rangeOperands(range);
    const size = 512 ** (range.level - 1);
    return Array.from({ length: Math.ceil(range.pages / size) }, (_, i) => ({
      Address: BigInt(range.first + i * size) << BigInt(PAGE_BITS),
      Leaf: range.leafOnly ? 1 : 0,
    }));
  }

  private command(operands: { readonly Address: bigint; readonly Leaf: number }): SmmuCommand {
    const { tag } = this.options;
    if (tag.stage === 1) return encode(CMD_TLBI_NH_VA, { ASID: tag.asid, VMID: tag.vmid ?? 0, ...operands });
    return encode(CMD_TLBI_S2_IPA, { VMID: tag.vmid, ...operands });
  }

  private *issueTlbi(commands: readonly SmmuCommand[], what: string): Program {
    if (this.options.noTlbi !== true) yield* this.queue.issueWithSync(commands, what);
  }

  private *atcInv(range: { readonly Address: bigint; readonly Size: number }): Program {
    const streams = this.options.atc === undefined ? [] : yield* this.options.atc.streams();
    if (streams.length === 0) return;
    const commands = streams.map((sid) => encode(CMD_ATC_INV, { StreamID: sid, ...range }));
    const pages = range.Size === EVERY_PAGE ? 'everything' : `${hex(range.Address)} Size ${range.Size}`;
    yield* this.queue.issueWithSync(commands, `ATC_INV ${streams.map(bdf).join(', ')}: ${pages}`);
  }

  private tagText(): string {
    const { tag } = this.options;
    return tag.stage === 1 ? `ASID ${tag.asid}` : `VMID ${tag.vmid}`;
  }
}
