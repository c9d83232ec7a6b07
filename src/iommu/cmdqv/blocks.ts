/** The registers of a CMDQ-V: those of all, of each interface, and of each queue, which are to be found at several addresses. */

import { moved } from '../../bits/index.ts';
import type { Arena } from '../../machine/index.ts';
import { RegisterFile } from '../kit/register-file.ts';
import * as registers from '../smmuv3/cmdqv-registers.ts';

const { CMDQV_STRIDE } = registers;
const VINTF_PAGES = registers.CMDQV_PAGES.VINTF;

export interface CmdqvSizes {
  /** log2 of interfaces, of queues of all together, and of slots for StreamIDs of each interface. */
  readonly vintfsLog2: number;
  readonly vcmdqsLog2: number;
  readonly sidsLog2: number;
}

const PAGE = 0x10000;
const VINTFS = registers.VINTF_CONFIG.offset;
const QUEUE_PAGE_0 = registers.VCMDQ_CONS.offset;
const QUEUE_PAGE_1 = registers.VCMDQ_BASE.offset;
/** Bytes of a queue's registers in each page. */
const QUEUE_BYTES = { page0: 0x18, page1: 0x10 } as const;

/** Queues of a word of CMDQV_CMDQ_ERR_MAP. */
const PER_WORD = 32;

/** A register at an address, and what it is one of. */
export interface Place {
  readonly file: RegisterFile;
  readonly offset: number;
  readonly kind: 'cmdqv' | 'vintf' | 'queue' | 'base';
  /** Number of the interface or queue. */
  readonly unit: number;
}

export class CmdqvBlocks {
  readonly vintfs: number;
  readonly vcmdqs: number;
  readonly sids: number;
  readonly all: RegisterFile;
  readonly vintf: readonly RegisterFile[];
  /** Page 0 of each queue, and page 1. */
  readonly queue: readonly RegisterFile[];
  readonly base: readonly RegisterFile[];
  readonly allocs: readonly (typeof registers.CMDQV_CMDQ_ALLOC)[];
  readonly errorMaps: readonly (typeof registers.CMDQV_CMDQ_ERR_MAP)[];
  readonly matches: readonly (typeof registers.VINTF_SID_MATCH)[];
  readonly replacements: readonly (typeof registers.VINTF_SID_REPLACE)[];

  constructor(arena: Arena, sizes: CmdqvSizes) {
    this.vintfs = 2 ** sizes.vintfsLog2;
    this.vcmdqs = 2 ** sizes.vcmdqsLog2;
    this.sids = 2 ** sizes.sidsLog2;
    const { CMDQV_CMDQ_ALLOC, CMDQV_CMDQ_ERR_MAP, VINTF_SID_MATCH, VINTF_SID_REPLACE } = registers;
    const count = (n: number) => Array.from({ length: n }, (_, i) => i);
    this.allocs = count(this.vcmdqs).map((q) =>
      moved(CMDQV_CMDQ_ALLOC, CMDQV_CMDQ_ALLOC.offset + q * CMDQV_STRIDE.CMDQ_ALLOC),
    );
    this.errorMaps = count(Math.ceil(this.vcmdqs / PER_WORD)).map((n) =>
      moved(CMDQV_CMDQ_ERR_MAP, CMDQV_CMDQ_ERR_MAP.offset + n * CMDQV_STRIDE.CMDQ_ERR_MAP),
    );
    const slot = <R extends { readonly offset: number }>(of: R) =>
      count(this.sids).map((s) => moved(of, of.offset - VINTFS + s * CMDQV_STRIDE.SID));
    this.matches = slot(VINTF_SID_MATCH);
    this.replacements = slot(VINTF_SID_REPLACE);
    const { CMDQV_CONFIG, CMDQV_PARAM, CMDQV_STATUS, CMDQV_VINTF_ERR_MAP, CMDQV_VINTF_INT_MASK } = registers;
    this.all = new RegisterFile(arena, 'cmdqv.regs', CMDQV_CMDQ_ALLOC.offset + this.vcmdqs * CMDQV_STRIDE.CMDQ_ALLOC, [
      ...[CMDQV_CONFIG, CMDQV_PARAM, CMDQV_STATUS, CMDQV_VINTF_ERR_MAP, CMDQV_VINTF_INT_MASK],
      ...[...this.errorMaps, ...this.allocs],
    ]);
    const { VINTF_CONFIG, VINTF_LVCMDQ_ERR_MAP, VINTF_STATUS } = registers;
    const ofVintf = [VINTF_CONFIG, VINTF_STATUS, VINTF_LVCMDQ_ERR_MAP].map((one) => moved(one, one.offset - VINTFS));
    this.vintf = count(this.vintfs).map(
      (v) =>
        new RegisterFile(arena, `cmdqv.vintf${v}`, CMDQV_STRIDE.VINTF, [
          ...ofVintf,
          ...this.matches,
          ...this.replacements,
        ]),
    );
    const {
      VCMDQ_BASE,
      VCMDQ_CONFIG,
      VCMDQ_CONS,
      VCMDQ_CONS_INDX_BASE,
      VCMDQ_GERROR,
      VCMDQ_GERRORN,
      VCMDQ_PROD,
      VCMDQ_STATUS,
    } = registers;
    const page0 = [VCMDQ_CONS, VCMDQ_PROD, VCMDQ_CONFIG, VCMDQ_STATUS, VCMDQ_GERROR, VCMDQ_GERRORN];
    const page1 = [VCMDQ_BASE, VCMDQ_CONS_INDX_BASE];
    const from = (list: readonly { readonly offset: number }[], at: number) =>
      list.map((one) => moved(one, one.offset - at));
    this.queue = count(this.vcmdqs).map(
      (q) => new RegisterFile(arena, `cmdqv.vcmdq${q}`, QUEUE_BYTES.page0, from(page0, QUEUE_PAGE_0)),
    );
    this.base = count(this.vcmdqs).map(
      (q) => new RegisterFile(arena, `cmdqv.vcmdq${q}.base`, QUEUE_BYTES.page1, from(page1, QUEUE_PAGE_1)),
    );
    const { NUM_SID_PER_VM_LOG2, NUM_VCMDQ_LOG2, NUM_VINTF_LOG2, VER } = CMDQV_PARAM;
    this.all.put(CMDQV_PARAM, VER, 1);
    this.all.put(CMDQV_PARAM, NUM_VCMDQ_LOG2, sizes.vcmdqsLog2);
    this.all.put(CMDQV_PARAM, NUM_VINTF_LOG2, sizes.vintfsLog2);
    this.all.put(CMDQV_PARAM, NUM_SID_PER_VM_LOG2, sizes.sidsLog2);
  }

  /** Bytes of the whole block. */
  get bytes(): number {
    return VINTF_PAGES + this.vintfs * CMDQV_STRIDE.VINTF_PAGES;
  }

  /** The register of an offset; null where there is none. @param queueOf finds the queue of an interface's own number, −1 if it has none */
  at(offset: number, queueOf: (vintf: number, lvcmdq: number) => number): Place | null {
    if (offset < this.all.size && offset < VINTFS) return { file: this.all, offset, kind: 'cmdqv', unit: 0 };
    if (offset >= VINTFS && offset < VINTFS + this.vintfs * CMDQV_STRIDE.VINTF) {
      const unit = Math.floor((offset - VINTFS) / CMDQV_STRIDE.VINTF);
      return { file: this.vintf[unit], offset: (offset - VINTFS) % CMDQV_STRIDE.VINTF, kind: 'vintf', unit };
    }
    if (offset >= VINTF_PAGES) {
      const vintf = Math.floor((offset - VINTF_PAGES) / CMDQV_STRIDE.VINTF_PAGES);
      if (vintf >= this.vintfs) return null;
      return this.ofQueue((offset - VINTF_PAGES) % CMDQV_STRIDE.VINTF_PAGES, (lvcmdq) => queueOf(vintf, lvcmdq));
    }
    return offset >= QUEUE_PAGE_0 ? this.ofQueue(offset - QUEUE_PAGE_0, (q) => q) : null;
  }

  private ofQueue(offset: number, queueOf: (number: number) => number): Place | null {
    const unit = queueOf(Math.floor((offset % PAGE) / CMDQV_STRIDE.VCMDQ));
    if (unit < 0 || unit >= this.vcmdqs) return null;
    const at = offset % CMDQV_STRIDE.VCMDQ;
    const [file, kind] = offset < PAGE ? ([this.queue[unit], 'queue'] as const) : ([this.base[unit], 'base'] as const);
    return at < file.size ? { file, offset: at, kind, unit } : null;
  }
}
