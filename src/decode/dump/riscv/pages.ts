/** Page tables of the RISC-V IOMMU: both stages, one within the other (Privileged, "Two-Stage Address Translation"), and MSI page tables (RISC-V IOMMU 2.3.3). */
import { FAULTS } from '../../../iommu/riscv/faults.ts';
import type { Code } from '../../finding.ts';
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, fieldOf } from '../../structure.ts';
import type { Next } from '../radix.ts';
import { descend, sizeOf } from '../radix.ts';
import type { Reader } from '../reader.ts';
import { fail } from '../reader.ts';
import type { WalkAccess, WalkEnd } from '../walk.ts';
import type { Unit } from './checks.ts';
import { control, may } from './checks.ts';
import type { Scheme } from './schemes.ts';
import { FIRST_STAGE, SECOND_STAGE } from './schemes.ts';

/** @param cause of the table of causes */
export function causeCode(cause: number): Code {
  const { clause, name, text } = FAULTS[cause] as (typeof FAULTS)[number];
  return { value: cause, name, meaning: text, clause };
}

/** Causes by the access that began all: of the first stage, and of the second. */
const PAGE_FAULT = { read: 13, write: 15 } as const;
const GUEST_PAGE_FAULT = { read: 21, write: 23 } as const;
const MSI_NOT_VALID = 262;
const MSI_MISCONFIGURED = 263;
/** Form of an MSI PTE. */
const BASIC = 3n;
const MRIF = 1n;

/** Words of a device context, and of the process context if there is one, that are about pages. */
export interface Context {
  readonly dc: DecodedStructure;
  readonly iosatp: { readonly mode: number; readonly table: bigint };
}

/** An entry that leads no further, with what it says. */
interface Leaf {
  readonly address: bigint;
  readonly bytes: bigint;
}

type Refuse = (why: string) => never;

export class RiscvPages {
  private readonly reader: Reader;
  private readonly unit: Unit;
  private readonly access: WalkAccess;
  private readonly dc: DecodedStructure;
  private readonly second: Scheme | null;

  constructor(reader: Reader, unit: Unit, access: WalkAccess, dc: DecodedStructure) {
    this.reader = reader;
    this.unit = unit;
    this.access = access;
    this.dc = dc;
    this.second = SECOND_STAGE[control(unit, 'GXL')][Number(fieldOf(dc, 'iohgatp_MODE'))] ?? null;
  }

  /** Steps 17 to 20 of the specification's process. @param mode of iosatp @throws Ended */
  translate(mode: number, table: bigint, iova: bigint): WalkEnd {
    const first = FIRST_STAGE[this.is('SXL') ? 1 : 0][mode];
    const leaf = first === undefined ? { address: iova, bytes: null } : this.first(first, table, iova);
    const message = this.message(leaf.address);
    if (message !== null) return message;
    const bytes = leaf.bytes === null ? null : Number(leaf.bytes);
    if (this.second === null) {
      return bytes === null
        ? { kind: 'passed', address: leaf.address }
        : { kind: 'page', address: leaf.address, bytes };
    }
    const host = this.guest(leaf.address, this.access, 'the address that the first stage gives');
    const size = bytes === null ? Number(host.bytes) : Math.min(bytes, Number(host.bytes));
    return { kind: 'page', address: host.address, bytes: size };
  }

  /** Physical address of something that the IOMMU itself reads at an address that the second stage translates, if there is one. */
  implicit(address: bigint, what: string, access: WalkAccess = 'read'): bigint {
    return this.second === null ? address : this.guest(address, access, what).address;
  }

  private is(name: string): boolean {
    return fieldOf(this.dc, `tc_${name}`) === 1n;
  }

  private first(scheme: Scheme, table: bigint, iova: bigint): Leaf {
    const refuse: Refuse = (why) => fail(causeCode(PAGE_FAULT[this.access]), why);
    const top = iova >> BigInt(scheme.width - (scheme.name === 'Sv32' ? 0 : 1));
    const ones = (1n << BigInt(65 - scheme.width)) - 1n;
    if (scheme.name === 'Sv32' ? top !== 0n : top !== 0n && top !== ones)
      refuse(`the address has more bits than ${scheme.name}`);
    return descend<Leaf>(this.reader, {
      ...{ levels: scheme.levels, table, key: iova, bigEndian: this.is('SBE') },
      place: (at) => this.implicit(at, 'a first-stage entry'),
      visit: (pte, level, _, at) => {
        const next = this.next(pte, sizeOf(level), iova, refuse);
        if ('table' in next) return next;
        this.checkRights(pte, this.access, refuse);
        if (fieldOf(pte, 'U') === 0n) refuse('U is 0, and the request is one of a user');
        if (this.needsUpdate(pte, this.access, this.is('SADE'), 'SADE', refuse))
          this.implicit(at, 'a first-stage entry whose A or D is to be set', 'write');
        return next;
      },
    });
  }

  /** The second stage. @param access the request's, or that of the IOMMU itself; causes are of the request's all the same */
  private guest(address: bigint, access: WalkAccess, what: string): Leaf {
    const scheme = this.second as Scheme;
    const refuse: Refuse = (why) =>
      fail(causeCode(GUEST_PAGE_FAULT[this.access]), `${why} (0x${address.toString(16)}, ${what})`);
    const width = this.is('SXL') ? Math.min(34, scheme.width) : scheme.width;
    if (address >> BigInt(width) !== 0n) refuse(`the guest-physical address has more than ${width} bits`);
    return descend<Leaf>(this.reader, {
      ...{ levels: scheme.levels, table: fieldOf(this.dc, 'iohgatp_PPN'), key: address, depth: 1 },
      bigEndian: control(this.unit, 'BE') === 1,
      visit: (pte, level) => {
        const next = this.next(pte, sizeOf(level), address, refuse);
        if ('table' in next) return next;
        this.checkRights(pte, access, refuse);
        if (fieldOf(pte, 'U') === 0n) refuse('U is 0: each access of a second stage is one of a user');
        this.needsUpdate(pte, access, this.is('GADE'), 'GADE', refuse);
        return next;
      },
    });
  }

  /** What both stages make of an entry: the next table, or a page of which the rights are not yet asked. */
  private next(pte: DecodedStructure, size: bigint, address: bigint, refuse: Refuse): Next<Leaf> {
    const is = (name: string) => fieldOf(pte, name) === 1n;
    if (!is('V')) refuse('V is 0');
    if (is('W') && !is('R')) refuse('W without R is reserved');
    const reserved = this.reservedOf(pte);
    if (reserved !== null) refuse(reserved);
    const frame = fieldOf(pte, 'PPN');
    if (!is('R') && !is('X')) return size === 0x1000n ? refuse('the last level has no page') : { table: frame };
    if (is('N')) {
      // Svnapot: the only range is one of 64 KiB.
      if (size !== 0x1000n) refuse('N is reserved in large pages');
      if ((frame >> 12n) % 16n !== 8n) refuse('N with a page number that encodes no size');
      return { end: { address: (frame & ~0xffffn) | (address & 0xffffn), bytes: 0x10000n } };
    }
    if (frame % size !== 0n) refuse('the page is not aligned to its size');
    return { end: { address: frame | (address & (size - 1n)), bytes: size } };
  }

  private reservedOf(pte: DecodedStructure): string | null {
    // Svrsw60t59b: two more bits of software; where no input says that the unit lacks it, they are not held against the entry.
    const run = pte.reserved.find(({ hi, lo }) => !(may(this.unit, 'Svrsw60t59b') && lo >= 59 && hi <= 60));
    if (run !== undefined) return `bits ${bitsText(run)} are reserved, and set`;
    const type = fieldOf(pte, 'PBMT');
    if (type === 3n) return 'PBMT 3 is reserved';
    return type !== 0n && !may(this.unit, 'Svpbmt') ? 'PBMT without capabilities.Svpbmt' : null;
  }

  private checkRights(pte: DecodedStructure, access: WalkAccess, refuse: Refuse): void {
    const right = access === 'read' ? 'R' : 'W';
    if (fieldOf(pte, right) === 0n) refuse(`${right} is 0`);
  }

  /** @returns whether the IOMMU would set A or D, as `enable` lets it */
  private needsUpdate(pte: DecodedStructure, access: WalkAccess, isOn: boolean, name: string, refuse: Refuse): boolean {
    const lacks = fieldOf(pte, 'A') === 0n ? 'A' : access === 'write' && fieldOf(pte, 'D') === 0n ? 'D' : null;
    if (lacks !== null && !isOn) refuse(`${lacks} is 0, and ${name} = 0 leaves it so`);
    return lacks !== null;
  }

  /** 2.3.3; null where the address is no interrupt file's. */
  private message(address: bigint): WalkEnd | null {
    if (fieldOf(this.dc, 'msiptp_MODE') !== 1n) return null;
    const mask = fieldOf(this.dc, 'msi_addr_mask_mask') >> 12n;
    const pattern = fieldOf(this.dc, 'msi_addr_pattern_pattern') >> 12n;
    const page = address >> 12n;
    if ((page & ~mask) !== (pattern & ~mask)) return null;
    const at = fieldOf(this.dc, 'msiptp_PPN') | (16n * extracted(page, mask));
    const pte = this.reader.read('riscv.msi-pte', `MSI PTE of 0x${(page << 12n).toString(16)}`, at, {
      ...{ bigEndian: control(this.unit, 'BE') === 1, valid: 'V' },
    });
    return this.throughMessage(pte, address);
  }

  private throughMessage(pte: DecodedStructure, address: bigint): WalkEnd {
    const [low] = pte.words as [bigint];
    const misconfigured: Refuse = (why) => fail(causeCode(MSI_MISCONFIGURED), why);
    if ((low & 1n) === 0n) fail(causeCode(MSI_NOT_VALID));
    if (low >> 63n === 1n) return { kind: 'interrupt', text: 'an MSI entry of a format of its own (C = 1)' };
    const form = (low >> 1n) & 3n;
    if (form !== BASIC && form !== MRIF) misconfigured(`M ${form} is reserved`);
    if (form === MRIF && !may(this.unit, 'MSI_MRIF')) misconfigured('MRIF without capabilities.MSI_MRIF');
    const reserved = pte.reserved[0];
    if (reserved !== undefined) misconfigured(`bits ${bitsText(reserved)} are reserved, and set`);
    if (form === BASIC) return { kind: 'page', address: fieldOf(pte, 'PPN') | (address & 0xfffn), bytes: 0x1000 };
    const file = fieldOf(pte, 'MRIF_Address').toString(16);
    const notice = fieldOf(pte, 'NPPN').toString(16);
    const number = (fieldOf(pte, 'NID_10') << 10n) | fieldOf(pte, 'NID_9_0');
    return {
      kind: 'interrupt',
      text: `into the interrupt file in memory at 0x${file}, with a notice of ${number} to 0x${notice}`,
    };
  }
}

/** The bits of `from` at which `mask` has ones, put together. */
function extracted(from: bigint, mask: bigint): bigint {
  let out = 0n;
  for (let bit = 0n, to = 0n; mask >> bit !== 0n; bit++) {
    if (((mask >> bit) & 1n) === 1n) out |= ((from >> bit) & 1n) << to++;
  }
  return out;
}
