/** What each invalidation command does to caches and to requests in flight (IHI 0070, 4.3, 4.4). */
import { get, hex, hex64 } from '../../bits/index.ts';
import { bdf } from '../../machine/index.ts';
import { sayDropped } from '../kit/dropped.ts';
import { levelHint } from './command-checks.ts';
import {
  CMD_CFGI_CD,
  CMD_CFGI_CD_ALL,
  CMD_CFGI_STE,
  CMD_CFGI_STE_RANGE,
  CMD_TLBI_EL2_ALL,
  CMD_TLBI_EL2_ASID,
  CMD_TLBI_EL2_VA,
  CMD_TLBI_EL2_VAA,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_NH_VAA,
  CMD_TLBI_NSNH_ALL,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
  commandAt,
} from './commands.ts';
import type { SmmuCore } from './core.ts';
import type { RequestMarks, TlbScope } from './tlb-scope.ts';
import { REGIME, SCOPE_STAGE, tlbScope } from './tlb-scope.ts';

/** Bits of the StreamIDs of everything (4.3.6). */
const EVERY_STREAM = 32;

const opcode = (of: { OPCODE: { fixed: number | null } }) => of.OPCODE.fixed as number;

/** What an invalidation of translations reads from its command: which entries, and whether VMID, ASID and address count. */
interface Tlbi {
  readonly regime: number;
  readonly stage: number;
  readonly vmid: boolean;
  readonly asid: boolean;
  readonly address: boolean;
}

const OF_EL1 = { regime: REGIME.EL1, stage: SCOPE_STAGE.one, vmid: true };
const OF_EL2 = { regime: REGIME.EL2, stage: SCOPE_STAGE.one, vmid: false };

/** By opcode. */
const TLBIS: Readonly<Record<number, Tlbi>> = {
  [opcode(CMD_TLBI_NH_ALL)]: { ...OF_EL1, asid: false, address: false },
  [opcode(CMD_TLBI_NH_ASID)]: { ...OF_EL1, asid: true, address: false },
  [opcode(CMD_TLBI_NH_VA)]: { ...OF_EL1, asid: true, address: true },
  [opcode(CMD_TLBI_NH_VAA)]: { ...OF_EL1, asid: false, address: true },
  [opcode(CMD_TLBI_EL2_ALL)]: { ...OF_EL2, asid: false, address: false },
  [opcode(CMD_TLBI_EL2_ASID)]: { ...OF_EL2, asid: true, address: false },
  [opcode(CMD_TLBI_EL2_VA)]: { ...OF_EL2, asid: true, address: true },
  [opcode(CMD_TLBI_EL2_VAA)]: { ...OF_EL2, asid: false, address: true },
  [opcode(CMD_TLBI_S2_IPA)]: { ...OF_EL1, stage: SCOPE_STAGE.two, asid: false, address: true },
  [opcode(CMD_TLBI_S12_VMALL)]: { ...OF_EL1, stage: SCOPE_STAGE.both, asid: false, address: false },
  [opcode(CMD_TLBI_NSNH_ALL)]: { ...OF_EL1, stage: SCOPE_STAGE.both, vmid: false, asid: false, address: false },
};

/** VMID, ASID and address are at the same places in all that have them. */
const { ASID, Leaf, NUM, SCALE, StreamID, SubstreamID, TG, VMID } = { ...CMD_TLBI_NH_VA, ...CMD_CFGI_CD };

/** log2 of the granule, by TG. */
const GRANULE: readonly number[] = [0, 12, 14, 16];

export class Invalidator {
  private readonly core: SmmuCore;
  private readonly marks: RequestMarks;
  private readonly scope: TlbScope = tlbScope();

  constructor(core: SmmuCore, marks: RequestMarks) {
    this.core = core;
    this.marks = marks;
  }

  /** Whether a command is one of those that are done here. */
  takes(op: number): boolean {
    return TLBIS[op] !== undefined || (op >= opcode(CMD_CFGI_STE) && op <= opcode(CMD_CFGI_CD_ALL));
  }

  /** Does one, which is legal. */
  execute(command: Int32Array): void {
    const { core } = this;
    const before = core.telling ? core.caches.describe() : [];
    const tlbi = TLBIS[command[0] & 0xff];
    const what = tlbi === undefined ? this.configuration(command) : this.translations(command, tlbi);
    if (!core.telling) return;
    core.say(`${commandAt(command)?.name}: ${what()}`);
    sayDropped(before, core.caches.describe(), (text) => core.say(text));
  }

  private translations(command: Int32Array, { regime, stage, vmid, asid, address }: Tlbi): () => string {
    const { core, scope } = this;
    scope.regime = regime;
    scope.stage = stage;
    // 4.4.2: VMIDs are matched where there is a stage 2; EL2 has none.
    scope.vmid = vmid && core.has.idr0.S2P === 1 ? get(VMID, command) : -1;
    scope.vmidMask = core.vmidMask;
    // 4.4.2.8: EL2 has ASIDs with E2H only.
    scope.asid = asid && (regime === REGIME.EL1 || core.e2h || !address) ? get(ASID, command) : -1;
    scope.whole = !address;
    scope.leafOnly = address && core.profile.honoursLeaf && get(Leaf, command) === 1;
    scope.hi = address ? command[3] : 0;
    scope.lo = address ? command[2] & -4096 : 0;
    const tg = address ? get(TG, command) : 0;
    scope.granule = GRANULE[tg];
    scope.count = tg === 0 ? 1 : (get(NUM, command) + 1) * 2 ** get(SCALE, command);
    scope.ttl = tg === 0 ? 0 : levelHint(command);
    core.caches.dropTlb(scope);
    this.marks.forTlb(scope);
    return () => textOf(scope);
  }

  private configuration(command: Int32Array): () => string {
    const { caches, profile } = this.core;
    const sid = get(StreamID, command);
    const leafOnly = profile.honoursLeaf && get(Leaf, command) === 1;
    switch (command[0] & 0xff) {
      case opcode(CMD_CFGI_STE):
        caches.dropSte(sid, leafOnly);
        caches.dropCdAll(sid);
        this.marks.forConfig(sid, 0, -1);
        return () => `STE of ${bdf(sid)} and its CDs${leafOnly ? ', Leaf' : ''}`;
      case opcode(CMD_CFGI_STE_RANGE): {
        const log2 = get(CMD_CFGI_STE_RANGE.Range, command) + 1;
        if (log2 === EVERY_STREAM) caches.dropAllConfig();
        else caches.dropSteRange(sid, log2);
        this.marks.forConfig(sid, log2, -1);
        return () => (log2 === EVERY_STREAM ? 'all' : `2^${log2} StreamIDs around ${hex(sid)}`);
      }
      case opcode(CMD_CFGI_CD): {
        const ssid = get(SubstreamID, command);
        caches.dropCd(sid, ssid, leafOnly);
        this.marks.forConfig(sid, 0, ssid);
        return () => `CD ${ssid} of ${bdf(sid)}${leafOnly ? ', Leaf' : ''}`;
      }
      default:
        caches.dropCdAll(sid);
        this.marks.forConfig(sid, 0, -1);
        return () => `all CDs of ${bdf(sid)}`;
    }
  }
}

function textOf({ regime, vmid, asid, whole, hi, lo, granule, count, leafOnly, ttl }: TlbScope): string {
  const who = [
    ...(regime === REGIME.EL2 ? ['EL2'] : []),
    ...(vmid < 0 ? [] : [`VMID ${vmid}`]),
    ...(asid < 0 ? [] : [`ASID ${asid}`]),
  ];
  if (whole) return who.join(' ') || 'everything';
  const range = granule === 0 ? '' : `, ${count} granules of ${2 ** granule / 1024} KiB`;
  return [...who, `${hex64(lo, hi)}${range}${ttl === 0 ? '' : `, level ${ttl}`}${leafOnly ? ', Leaf' : ''}`].join(' ');
}
