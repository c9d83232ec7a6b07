/** An SMMU's translation tables (VMSAv8-64: DDI 0487 D8; SMMUv3 3.4, 5.2, 5.4): stage 1, stage 2 with concatenated tables, one within the other. */
import type { DecodedStructure } from '../../structure.ts';
import { fieldOf } from '../../structure.ts';
import type { Next } from '../radix.ts';
import { descend, sizeOf } from '../radix.ts';
import type { Reader } from '../reader.ts';
import type { WalkAccess } from '../walk.ts';
import type { EventNumber } from './faults.ts';
import { EVENT, event } from './faults.ts';
import type { Shape } from './granules.ts';
import { LAST, levelsOf } from './granules.ts';
import type { FirstRules, Wanted } from './permissions.ts';
import { dirties, firstLacks, Restrictions, secondLacks } from './permissions.ts';
import type { SmmuUnit } from './unit.ts';

/** What a walk of one stage gives. */
export interface Leaf {
  readonly address: bigint;
  readonly bytes: bigint;
}

/** What both stages have. */
interface Stage {
  readonly shape: Shape;
  readonly start: number;
  /** Bits of the addresses that it translates, and of those that it gives. */
  readonly width: number;
  readonly output: number;
  readonly table: bigint;
  readonly bigEndian: boolean;
  /** Access flag faults do not happen; the unit sets AF; it sets what DBM stands for. */
  readonly affd: boolean;
  readonly ha: boolean;
  readonly hd: boolean;
  /** Faults are recorded, or stall. */
  readonly recorded: boolean;
}

export interface SecondStage extends Stage {
  /** STE.S2PTW. */
  readonly noDeviceWalks: boolean;
  /** STE.S2FWB, which changes what MemAttr means. */
  readonly forced: boolean;
}

export interface FirstStage extends Stage {
  readonly rules: FirstRules;
  /** CD.HAD0, HAD1: table descriptors do not restrict. */
  readonly had: boolean;
  /** The upper part of the address space (TTB1). */
  readonly upper: boolean;
}

/** What an access is for: the transaction, whose wants are its own, or something that the unit itself reads or writes. */
type Class = 'IN' | 'TTD' | 'CD';

type Refuse = (number: EventNumber, why: string) => never;

export class SmmuPages {
  private readonly reader: Reader;
  private readonly wanted: Wanted;
  private readonly second: SecondStage | null;
  private readonly unit: SmmuUnit;

  constructor(reader: Reader, wanted: Wanted, unit: SmmuUnit, second: SecondStage | null) {
    this.reader = reader;
    this.unit = unit;
    this.wanted = wanted;
    this.second = second;
  }

  /** Where something lies that the unit itself reads or writes. @throws Ended */
  place(address: bigint, of: Class, access: WalkAccess = 'read'): bigint {
    return this.stage2(address, of, access)?.address ?? address;
  }

  /** @param address its bits above the stage's width are checked already @throws Ended */
  stage1(stage: FirstStage, address: bigint): Leaf {
    const refuse: Refuse = (number, why) =>
      event(number, stage.recorded ? why : `${why}; not recorded (CD.R and S are 0)`);
    const { had, shape, start, width } = stage;
    const tables = new Restrictions();
    return descend<Leaf>(this.reader, {
      ...{ levels: levelsOf(shape, 1, start, width), table: stage.table, key: address, bigEndian: stage.bigEndian },
      place: (at) => this.place(at, 'TTD'),
      visit: (entry, level, i, at) => {
        const next = this.next(entry, start + i, sizeOf(level), address, stage, refuse);
        if ('table' in next) {
          if (!had) tables.add(entry);
          return next;
        }
        const updates = needsAccessFlag(entry, stage, refuse);
        const lacks = firstLacks(entry, stage.rules, tables, this.wanted);
        if (lacks !== null) refuse(EVENT.permission, lacks);
        if (updates || (this.wanted.access === 'write' && dirties(entry, stage))) this.place(at, 'TTD', 'write');
        return next;
      },
    });
  }

  /** @returns null without a second stage @throws Ended */
  stage2(address: bigint, of: Class, access: WalkAccess = 'read'): Leaf | null {
    const { second: stage } = this;
    if (stage === null) return null;
    const refuse: Refuse = (number, why) =>
      event(
        number,
        `stage 2, class ${of}, IPA 0x${address.toString(16)}: ${why}${stage.recorded ? '' : '; not recorded (STE.S2R and S2S are 0)'}`,
      );
    const { shape, start, width } = stage;
    if (address >> BigInt(width) !== 0n)
      refuse(EVENT.translation, `the address has more bits than STE.S2T0SZ permits (${width})`);
    return descend<Leaf>(this.reader, {
      ...{ levels: levelsOf(shape, 2, start, width), table: stage.table, key: address, bigEndian: stage.bigEndian },
      depth: of === 'IN' ? 0 : 1,
      visit: (entry, level, i) => {
        const next = this.next(entry, start + i, sizeOf(level), address, stage, refuse);
        if ('table' in next) return next;
        needsAccessFlag(entry, stage, refuse);
        const wanted = of === 'IN' ? this.wanted : { access, privileged: false };
        const lacks = secondLacks(entry, stage, wanted);
        if (lacks !== null) refuse(EVENT.permission, lacks);
        // Device memory: MemAttr 00xx, with S2FWB x0xx.
        const memory = fieldOf(entry, 'MemAttr') & (stage.forced ? 4n : 12n);
        if (of !== 'IN' && stage.noDeviceWalks && memory === 0n)
          refuse(EVENT.permission, 'STE.S2PTW: the unit may not read its tables from Device memory');
        return next;
      },
    });
  }

  /** What both stages make of a descriptor: the next table, or a page of which the rights are not yet asked. */
  private next(
    entry: DecodedStructure,
    level: number,
    size: bigint,
    address: bigint,
    stage: Stage,
    refuse: Refuse,
  ): Next<Leaf> {
    const [word] = entry.words as [bigint];
    if ((word & 1n) === 0n) refuse(EVENT.translation, 'the descriptor is not valid: bit 0 is 0');
    if (entry.fields.length === 0) refuse(EVENT.translation, `level ${level} has no blocks: bit 1 is 0`);
    const isTable = level < LAST && (word & 2n) !== 0n;
    const { isOasKnown, oas } = this.unit;
    if (!isTable && stage.shape.granule === 64 && level === 1) {
      if (oas < 52) refuse(EVENT.translation, 'level 1 has blocks only where addresses have 52 bits');
      if (!isOasKnown)
        this.reader.assumed.add(
          'the unit has addresses of 52 bits: with the 64 KiB granule only these have level-1 blocks',
        );
    }
    const high = oas < 52 ? 0n : fieldOf(entry, 'OA_51_48') << 48n;
    const output = fieldOf(entry, 'ADDR') | high;
    if (output >> BigInt(stage.output) !== 0n)
      refuse(EVENT.addressSize, `the descriptor's address has more than ${stage.output} bits`);
    return isTable ? { table: output } : { end: { address: output | (address & (size - 1n)), bytes: size } };
  }
}

/** @returns whether the unit would set AF */
function needsAccessFlag(entry: DecodedStructure, { affd, ha }: Stage, refuse: Refuse): boolean {
  if (fieldOf(entry, 'AF') === 1n) return false;
  if (ha) return true;
  if (!affd) refuse(EVENT.access, 'AF is 0');
  return false;
}
