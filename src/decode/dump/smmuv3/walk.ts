/** An SMMU's way of a transaction (SMMUv3 3.3, 3.4): stream table, context descriptors, two stages; through dumps. Non-secure streams. */
import { STE_CONFIG } from '../../../iommu/smmuv3/structures.ts';
import type { DecodedStructure } from '../../structure.ts';
import { fieldOf } from '../../structure.ts';
import type { Level } from '../radix.ts';
import { descend } from '../radix.ts';
import type { Reader } from '../reader.ts';
import { numberNeeded } from '../requester-number.ts';
import type { Tables } from '../tables.ts';
import type { WalkAccess, WalkEnd, WalkQuestion, WalkResult } from '../walk.ts';
import { WalkRefused, walkBoth } from '../walk.ts';
import { EVENT, event } from './faults.ts';
import { SmmuPages } from './pages.ts';
import type { Wanted } from './permissions.ts';
import type { World } from './stages.ts';
import { firstStageOf, secondStageOf } from './stages.ts';
import type { SmmuUnit } from './unit.ts';
import { UNIT_REGISTERS, unitOf } from './unit.ts';

/** What of an input a walk can begin with, the nearest to the pages first. */
export const SMMU_ROOTS: readonly string[] = ['smmuv3.cd', 'smmuv3.ste', 'smmuv3.strtab-base'];
/** What else it takes from an input. */
export const SMMU_REGISTERS: readonly string[] = ['smmuv3.strtab-base-cfg', ...UNIT_REGISTERS];

const STE: Level = { kind: 'smmuv3.ste', name: 'STE', shift: 0, bits: 32, bytes: 64, valid: 'V' };
const L1STD: Level = { kind: 'smmuv3.l1std', name: 'L1STD', shift: 6, bits: 26, bytes: 8 };
const CD: Level = { kind: 'smmuv3.cd', name: 'CD', shift: 0, bits: 20, bytes: 64, valid: 'V' };
const L1CD: Level = { kind: 'smmuv3.l1cd', name: 'L1CD', shift: 6, bits: 14, bytes: 8, valid: 'V' };

/** log2 of the CDs of a leaf, by STE.S1Fmt; linear tables have none. */
const CD_SPLIT: readonly (number | undefined)[] = [undefined, 6, 10, undefined];
/** STRTAB_BASE_CFG.SPLIT: any other value counts as the first. */
const SPLITS = [6, 8, 10] as const;
/** STE.EATS. */
const EATS = { full: 1, split: 2 } as const;
/** L1STD.Span: reserved ones count as 0. */
const LARGEST_SPAN = 11;

/** @throws WalkRefused where the inputs have not enough to begin */
export function walkSmmu(tables: Tables, question: WalkQuestion): WalkResult {
  const root = SMMU_ROOTS.find((kind) => tables.given.has(kind));
  if (root === undefined) throw new WalkRefused('nothing says where tables of an SMMUv3 begin; give its STRTAB_BASE');
  const stream = root === 'smmuv3.strtab-base' ? numberNeeded(question.device, 'StreamID') : null;
  const of = question.device ?? `the ${root.slice('smmuv3.'.length).toUpperCase()} that is given`;
  return walkBoth(tables, question, of, (reader, access) => new Way(reader, question, access).run(stream));
}

class Way {
  private readonly reader: Reader;
  private readonly question: WalkQuestion;
  private readonly access: WalkAccess;
  private readonly unit: SmmuUnit;

  constructor(reader: Reader, question: WalkQuestion, access: WalkAccess) {
    this.unit = unitOf(reader.tables);
    this.reader = reader;
    this.question = question;
    this.access = access;
  }

  private get given(): ReadonlyMap<string, DecodedStructure> {
    return this.reader.tables.given;
  }

  run(stream: number | null): WalkEnd {
    const { given } = this;
    const ste = given.get('smmuv3.ste');
    const cd = given.get('smmuv3.cd');
    const cr0 = given.get('smmuv3.cr0');
    if (cr0 !== undefined && fieldOf(cr0, 'SMMUEN') === 0n) return this.off();
    if (cd !== undefined) return this.fromContext(cd, ste);
    if (ste !== undefined) return this.throughEntry(this.reader.told('STE, as it is given', ste));
    return this.throughEntry(this.entryOf(stream as number));
  }

  /** 6.3.15: what becomes of transactions of an SMMU that is off. */
  private off(): WalkEnd {
    const gbpa = this.given.get('smmuv3.gbpa');
    if (gbpa === undefined) this.reader.assumed.add('GBPA.ABORT = 0: CR0.SMMUEN is 0');
    if (gbpa !== undefined && fieldOf(gbpa, 'ABORT') === 1n)
      return { kind: 'refused', text: 'aborted without an event: CR0.SMMUEN is 0, and GBPA.ABORT is 1' };
    return { kind: 'passed', address: this.question.address };
  }

  /** A context descriptor alone, with the second stage of an STE if one is given too. */
  private fromContext(cd: DecodedStructure, ste: DecodedStructure | undefined): WalkEnd {
    if (ste === undefined) {
      this.reader.assumed.add('no second stage, EL1 and unprivileged accesses: no STE is given');
      const told = this.reader.told('CD, as it is given', cd);
      const world = { two: true, privileged: false, instruction: false, noStall: false };
      return this.throughStages(told, new SmmuPages(this.reader, this.wantedIn(world), this.unit, null), world);
    }
    this.reader.told('STE, as it is given', ste);
    const told = this.reader.told('CD, as it is given', cd);
    return this.throughStages(told, this.pagesOf(ste), this.worldOf(ste));
  }

  /** 3.3.2, 5.1. */
  private entryOf(stream: number): DecodedStructure {
    const { given, reader } = this;
    const base = reader.told('STRTAB_BASE', given.get('smmuv3.strtab-base') as DecodedStructure);
    const cfg = given.get('smmuv3.strtab-base-cfg');
    if (cfg === undefined)
      throw new WalkRefused('the shape of the stream table is in STRTAB_BASE_CFG: add a line "STRTAB_BASE_CFG: 0x…"');
    reader.told('STRTAB_BASE_CFG', cfg);
    const written = Number(fieldOf(cfg, 'LOG2SIZE'));
    const size = Math.min(this.unit.streams, written);
    if (BigInt(stream) >> BigInt(size) !== 0n) event(EVENT.badStreamId, `the table has 2^${size} StreamIDs`);
    // 6.3.24: the table is aligned by LOG2SIZE as it is written, however many StreamIDs there are.
    const table = fieldOf(base, 'ADDR');
    const of = this.question.device as string;
    const format = fieldOf(cfg, 'FMT');
    if (format > 1n) throw new WalkRefused(`STRTAB_BASE_CFG.FMT ${format} is reserved`);
    if (format === 0n) {
      const visit = (entry: DecodedStructure) => ({ end: entry });
      return descend(reader, { levels: [STE], table: lowered(table, written + 6), key: BigInt(stream), of, visit });
    }
    const told = Number(fieldOf(cfg, 'SPLIT'));
    const split = SPLITS.find((known) => known === told) ?? SPLITS[0];
    const levels = [
      { ...L1STD, shift: split, bits: 32 - split },
      { ...STE, bits: split },
    ];
    return descend<DecodedStructure>(reader, {
      ...{
        levels,
        table: lowered(table, Math.max(6, written - split + 3)),
        key: BigInt(stream),
        of,
      },
      visit: (entry, { kind }) => {
        if (kind === 'smmuv3.ste') return { end: entry };
        const span = Number(fieldOf(entry, 'Span'));
        if (span === 0 || span > LARGEST_SPAN || span > split + 1)
          event(EVENT.badStreamId, `the L1STD has no STEs (Span ${span})`);
        if (stream % 2 ** split >= 2 ** (span - 1)) event(EVENT.badStreamId, `the L1STD has ${2 ** (span - 1)} STEs`);
        return { table: lowered(fieldOf(entry, 'L2Ptr'), span + 5) };
      },
    });
  }

  private throughEntry(ste: DecodedStructure): WalkEnd {
    const { pasid } = this.question;
    if (fieldOf(ste, 'V') === 0n) event(EVENT.badSte, 'V is 0');
    const config = Number(fieldOf(ste, 'Config'));
    if (config < STE_CONFIG.bypass) return { kind: 'refused', text: 'aborted without an event: STE.Config' };
    const hasFirst = config === STE_CONFIG.s1 || config === STE_CONFIG.s1s2;
    const most = this.substreamsOf(ste);
    const many = most !== 0;
    this.checkEntry(ste, config);
    const pages = this.pagesOf(ste);
    if (!hasFirst) {
      if (pasid !== null) event(EVENT.badSubstreamId, 'the stream has no stage 1');
      return this.pastFirst(pages);
    }
    const dss = Number(fieldOf(ste, 'S1DSS'));
    if (pasid !== null && !many) event(EVENT.badSubstreamId, 'S1CDMax is 0: the stream has no substreams');
    if (pasid !== null && pasid >= 2 ** most) event(EVENT.badSubstreamId, `the stream has 2^${most} CDs`);
    if (many && pasid === null && (dss === 0 || dss === 3))
      event(EVENT.streamDisabled, 'S1DSS: not without SubstreamID');
    if (many && pasid === null && dss === 1) return this.pastFirst(pages);
    if (many && pasid === 0 && dss === 2)
      event(EVENT.streamDisabled, 'S1DSS: CD 0 is of transactions without SubstreamID');
    const cd = this.contextOf(ste, pages, pasid ?? 0);
    return this.throughStages(cd, pages, this.worldOf(ste));
  }

  /** S1CDMax, where it counts. */
  private substreamsOf(ste: DecodedStructure): number {
    return this.unit.substreams === 0 ? 0 : Number(fieldOf(ste, 'S1CDMax'));
  }

  /** 5.2.2, what of it can be told from the entry, and from IDR0 if that is given. */
  private checkEntry(ste: DecodedStructure, config: number): void {
    const field = (name: string) => Number(fieldOf(ste, name));
    const stalls = field('S2S') === 1;
    if (this.unit.ats && config !== STE_CONFIG.bypass) {
      const isSplit = field('EATS') === EATS.split && (config !== STE_CONFIG.s1s2 || stalls);
      if (isSplit || (field('EATS') === EATS.full && stalls && config !== STE_CONFIG.s1))
        event(EVENT.badSte, `EATS ${field('EATS')} does not go with Config ${config} and S2S ${field('S2S')}`);
    }
    if (config === STE_CONFIG.s1 && field('STRW') % 2 === 1)
      event(EVENT.badSte, `STRW ${field('STRW')} is none of Non-secure streams`);
    const isFirst = config === STE_CONFIG.s1 || config === STE_CONFIG.s1s2;
    if (isFirst && this.substreamsOf(ste) > this.unit.substreams)
      event(EVENT.badSte, `S1CDMax ${field('S1CDMax')} is more than the ${this.unit.substreams} bits of SubstreamIDs`);
    if (isFirst && fieldOf(ste, 'S1ContextPtr') >> BigInt(this.unit.oas) !== 0n)
      event(EVENT.badSte, `S1ContextPtr has more than ${this.unit.oas} bits`);
  }

  /** 5.2, 5.3; S1Fmt 3 counts as linear, and tables are aligned to their sizes. */
  private contextOf(ste: DecodedStructure, pages: SmmuPages, substream: number): DecodedStructure {
    const max = this.substreamsOf(ste);
    const split = max === 0 ? undefined : CD_SPLIT[Number(fieldOf(ste, 'S1Fmt'))];
    const levels =
      split === undefined
        ? [CD]
        : [
            { ...L1CD, shift: split, bits: 20 - split },
            { ...CD, bits: split },
          ];
    const bits = split === undefined ? max + 6 : Math.max(6, max - split + 3);
    return descend<DecodedStructure>(this.reader, {
      ...{ levels, table: lowered(fieldOf(ste, 'S1ContextPtr'), bits), key: BigInt(substream) },
      of: `substream 0x${substream.toString(16)}`,
      place: (at) => pages.place(at, 'CD'),
      visit: (entry, { kind }) => {
        if (kind === 'smmuv3.cd') return { end: entry };
        if (fieldOf(entry, 'V') === 0n) event(EVENT.badSubstreamId, 'V is 0 in its L1CD');
        const next = fieldOf(entry, 'L2Ptr');
        if (next >> BigInt(this.unit.oas) !== 0n)
          event(EVENT.badSubstreamId, `L2Ptr of its L1CD has more than ${this.unit.oas} bits`);
        return { table: next };
      },
    });
  }

  private pagesOf(ste: DecodedStructure): SmmuPages {
    const config = Number(fieldOf(ste, 'Config'));
    const hasSecond = config === STE_CONFIG.s2 || config === STE_CONFIG.s1s2;
    const wanted = this.wantedIn(this.worldOf(ste));
    return new SmmuPages(this.reader, wanted, this.unit, hasSecond ? secondStageOf(ste, this.unit) : null);
  }

  /** STE.STRW, which counts where stage 1 alone translates, PRIVCFG and INSTCFG. */
  private worldOf(ste: DecodedStructure): World {
    const { e2h, overrides } = this.unit;
    const privileged = overrides && fieldOf(ste, 'PRIVCFG') === 3n;
    const instruction = overrides && fieldOf(ste, 'INSTCFG') === 3n;
    const noStall = fieldOf(ste, 'S1STALLD') === 1n;
    const isFirstAlone = Number(fieldOf(ste, 'Config')) === STE_CONFIG.s1;
    if (!isFirstAlone || fieldOf(ste, 'STRW') === 0n) return { two: true, privileged, instruction, noStall };
    if (e2h === null)
      this.reader.assumed.add(
        'CR2.E2H = 0: one part of the address space, one privilege level; a line "CR2: 0x…" makes it sure',
      );
    return { two: e2h === true, privileged, instruction, noStall };
  }

  private wantedIn({ instruction, privileged }: World): Wanted {
    return { access: this.access === 'read' && instruction ? 'execute' : this.access, privileged };
  }

  private throughStages(cd: DecodedStructure, pages: SmmuPages, world: World): WalkEnd {
    const { key, stage } = firstStageOf(cd, world, this.unit, this.question.address);
    const first = pages.stage1(stage, key);
    const second = pages.stage2(first.address, 'IN');
    if (second === null) return { kind: 'page', address: first.address, bytes: Number(first.bytes) };
    const bytes = first.bytes < second.bytes ? first.bytes : second.bytes;
    return { kind: 'page', address: second.address, bytes: Number(bytes) };
  }

  /** Without a first stage the address is the second's, if there is one. */
  private pastFirst(pages: SmmuPages): WalkEnd {
    const { address } = this.question;
    if (address >> BigInt(this.unit.oas) !== 0n)
      event(EVENT.addressSize, `the address has more than the ${this.unit.oas} bits of the unit's`);
    const second = pages.stage2(address, 'IN');
    if (second === null) return { kind: 'passed', address };
    return { kind: 'page', address: second.address, bytes: Number(second.bytes) };
  }
}

/** Without the bits below one, which are taken for 0. */
function lowered(address: bigint, bits: number): bigint {
  return (address >> BigInt(bits)) << BigInt(bits);
}
