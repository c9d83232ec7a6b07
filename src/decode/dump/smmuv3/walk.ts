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
import { firstStageOf, secondStageOf } from './stages.ts';

/** What of an input a walk can begin with, the nearest to the pages first. */
export const SMMU_ROOTS: readonly string[] = ['smmuv3.cd', 'smmuv3.ste', 'smmuv3.strtab-base'];
/** What else it takes from an input. */
export const SMMU_REGISTERS: readonly string[] = ['smmuv3.strtab-base-cfg', 'smmuv3.cr0', 'smmuv3.cr2', 'smmuv3.gbpa'];

const STE: Level = { kind: 'smmuv3.ste', name: 'STE', shift: 0, bits: 32, bytes: 64, valid: 'V' };
const L1STD: Level = { kind: 'smmuv3.l1std', name: 'L1STD', shift: 6, bits: 26, bytes: 8 };
const CD: Level = { kind: 'smmuv3.cd', name: 'CD', shift: 0, bits: 20, bytes: 64, valid: 'V' };
const L1CD: Level = { kind: 'smmuv3.l1cd', name: 'L1CD', shift: 6, bits: 14, bytes: 8, valid: 'V' };

/** log2 of the CDs of a leaf, by STE.S1Fmt; linear tables have none. */
const CD_SPLIT: readonly (number | undefined)[] = [undefined, 6, 10];
/** STRTAB_BASE_CFG.SPLIT: any other value counts as the first. */
const SPLITS = [6, 8, 10] as const;
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

  constructor(reader: Reader, question: WalkQuestion, access: WalkAccess) {
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
      return this.throughStages(told, new SmmuPages(this.reader, this.access, null), { two: true, privileged: false });
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
    const size = Number(fieldOf(cfg, 'LOG2SIZE'));
    if (BigInt(stream) >> BigInt(size) !== 0n) event(EVENT.badStreamId, `the table has 2^${size} StreamIDs`);
    const table = fieldOf(base, 'ADDR');
    const of = this.question.device as string;
    const format = fieldOf(cfg, 'FMT');
    if (format > 1n) throw new WalkRefused(`STRTAB_BASE_CFG.FMT ${format} is reserved`);
    if (format === 0n) {
      const visit = (entry: DecodedStructure) => ({ end: entry });
      return descend(reader, { levels: [STE], table: lowered(table, size + 6), key: BigInt(stream), of, visit });
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
        table: lowered(table, Math.max(6, size - split + 3)),
        key: BigInt(stream),
        of,
      },
      visit: (entry, { kind }) => {
        if (kind === 'smmuv3.ste') return { end: entry };
        const span = Number(fieldOf(entry, 'Span'));
        if (span === 0 || span > LARGEST_SPAN) event(EVENT.badStreamId, `the L1STD has no STEs (Span ${span})`);
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
    const many = fieldOf(ste, 'S1CDMax') !== 0n;
    const pages = this.pagesOf(ste);
    if (!hasFirst) {
      if (pasid !== null) event(EVENT.badSubstreamId, 'the stream has no stage 1');
      return this.pastFirst(pages);
    }
    const dss = Number(fieldOf(ste, 'S1DSS'));
    if (many) {
      if (CD_SPLIT.length <= Number(fieldOf(ste, 'S1Fmt'))) event(EVENT.badSte, 'S1Fmt 3 is reserved');
      if (dss === 3) event(EVENT.badSte, 'S1DSS 3 is reserved');
    }
    if (pasid !== null && !many) event(EVENT.badSubstreamId, 'S1CDMax is 0: the stream has no substreams');
    if (pasid !== null && BigInt(pasid) >> fieldOf(ste, 'S1CDMax') !== 0n)
      event(EVENT.badSubstreamId, `the stream has 2^${fieldOf(ste, 'S1CDMax')} CDs`);
    if (many && pasid === null && dss === 0) event(EVENT.streamDisabled, 'S1DSS: not without SubstreamID');
    if (many && pasid === null && dss === 1) return this.pastFirst(pages);
    if (many && pasid === 0 && dss === 2)
      event(EVENT.streamDisabled, 'S1DSS: CD 0 is of transactions without SubstreamID');
    const cd = this.contextOf(ste, pages, pasid ?? 0);
    return this.throughStages(cd, pages, this.worldOf(ste));
  }

  /** 5.2, 5.3. */
  private contextOf(ste: DecodedStructure, pages: SmmuPages, substream: number): DecodedStructure {
    const split = fieldOf(ste, 'S1CDMax') === 0n ? undefined : CD_SPLIT[Number(fieldOf(ste, 'S1Fmt'))];
    const levels =
      split === undefined
        ? [CD]
        : [
            { ...L1CD, shift: split, bits: 20 - split },
            { ...CD, bits: split },
          ];
    return descend<DecodedStructure>(this.reader, {
      ...{ levels, table: fieldOf(ste, 'S1ContextPtr'), key: BigInt(substream) },
      of: `substream 0x${substream.toString(16)}`,
      place: (at) => pages.place(at, 'CD'),
      visit: (entry, { kind }) => {
        if (kind === 'smmuv3.cd') return { end: entry };
        if (fieldOf(entry, 'V') === 0n) event(EVENT.badSubstreamId, 'V is 0 in its L1CD');
        return { table: lowered(fieldOf(entry, 'L2Ptr'), (split as number) + 6) };
      },
    });
  }

  private pagesOf(ste: DecodedStructure): SmmuPages {
    const config = Number(fieldOf(ste, 'Config'));
    const hasSecond = config === STE_CONFIG.s2 || config === STE_CONFIG.s1s2;
    return new SmmuPages(this.reader, this.access, hasSecond ? secondStageOf(ste) : null);
  }

  /** STE.STRW, which counts where stage 1 alone translates, and PRIVCFG. */
  private worldOf(ste: DecodedStructure): { two: boolean; privileged: boolean } {
    const privileged = fieldOf(ste, 'PRIVCFG') === 3n;
    const isFirstAlone = Number(fieldOf(ste, 'Config')) === STE_CONFIG.s1;
    if (!isFirstAlone || fieldOf(ste, 'STRW') === 0n) return { two: true, privileged };
    const cr2 = this.given.get('smmuv3.cr2');
    if (cr2 === undefined && fieldOf(ste, 'STRW') === 2n)
      this.reader.assumed.add(
        'CR2.E2H = 0: one part of the address space, one privilege level; a line "CR2: 0x…" makes it sure',
      );
    return { two: fieldOf(ste, 'STRW') === 2n && cr2 !== undefined && fieldOf(cr2, 'E2H') === 1n, privileged };
  }

  private throughStages(cd: DecodedStructure, pages: SmmuPages, world: { two: boolean; privileged: boolean }): WalkEnd {
    const { key, stage } = firstStageOf(cd, world, this.question.address);
    const first = pages.stage1(stage, key);
    const second = pages.stage2(first.address, 'IN', this.access);
    if (second === null) return { kind: 'page', address: first.address, bytes: Number(first.bytes) };
    const bytes = first.bytes < second.bytes ? first.bytes : second.bytes;
    return { kind: 'page', address: second.address, bytes: Number(bytes) };
  }

  /** Without a first stage the address is the second's, if there is one. */
  private pastFirst(pages: SmmuPages): WalkEnd {
    const { address } = this.question;
    const second = pages.stage2(address, 'IN', this.access);
    if (second === null) return { kind: 'passed', address };
    return { kind: 'page', address: second.address, bytes: Number(second.bytes) };
  }
}

/** Without the bits below one, which are taken for 0. */
function lowered(address: bigint, bits: number): bigint {
  return (address >> BigInt(bits)) << BigInt(bits);
}
