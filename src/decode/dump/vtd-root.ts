/** From the root table to the page tables of a device (VT-d 3.4), through dumps: what is read on the way, and what it says. */
import { FAULT } from '../../iommu/vtd/faults.ts';
import { SM_FAULT } from '../../iommu/vtd/scalable-faults.ts';
import { PGTT } from '../../iommu/vtd/scalable-structures.ts';
import { levelsOf } from '../../iommu/vtd/structures.ts';
import { pciRequester } from '../finding.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodeNamed, fieldOf } from '../structure.ts';
import type { Reader, ReadOptions } from './reader.ts';
import type { ContextRow, DomainTable, RootTable, Tables } from './tables.ts';
import { sameDevice } from './tables.ts';
import type { VtdRoot } from './vtd-walk.ts';
import { must, VtdWalk } from './vtd-walk.ts';
import type { WalkAccess, WalkEnd, WalkQuestion, WalkResult } from './walk.ts';
import { WalkRefused, walkBoth } from './walk.ts';

/** What of an input a walk can begin with beside dumps of Linux's, the nearest to the pages first. */
export const VTD_ROOTS: readonly string[] = ['vtd.pasid', 'vtd.context', 'vtd.rtaddr'];

/** RTADDR.TTM of scalable mode. */
const SCALABLE = 1n;
/** Bytes of a context entry in legacy and in scalable mode. */
const CONTEXT_BYTES = { legacy: 16n, scalable: 32n } as const;
const POINTER = ~0xfffn;
/** The host address width is in no dump; no address has more bits than these. */
const WIDEST = 52n;
/** Of scalable-mode context entries dmar_translation_struct has two words. */
const UPPER_WORDS_MAY_LACK: ReadOptions = { zeros: 2 };

/** Where the context entry of a function is (9.1, 9.2). @param root words of the root entry of its bus */
export function contextAddress(root: readonly [bigint, bigint], devfn: number, scalable: boolean): bigint {
  if (!scalable) return (root[0] & POINTER) + CONTEXT_BYTES.legacy * BigInt(devfn);
  return ((devfn < 0x80 ? root[0] : root[1]) & POINTER) + CONTEXT_BYTES.scalable * BigInt(devfn & 0x7f);
}

/** @throws WalkRefused where the inputs have not enough to begin */
export function walkVtd(tables: Tables, question: WalkQuestion): WalkResult {
  const entry = VTD_ROOTS.slice(0, 2).find((kind) => tables.given.has(kind));
  const device = question.device ?? (entry === undefined ? onlyDevice(tables) : `the ${entry} that is given`);
  const run = (reader: Reader, access: WalkAccess) => new Way(reader, { ...question, device }, access).run();
  const leavesOut = 'domain_translation_struct leaves out what is not mapped';
  return walkBoth(tables, question, device, run, tables.domains.length > 0 ? leavesOut : null);
}

function matches({ pasid }: ContextRow, wanted: number | null): boolean {
  return wanted === null ? pasid === null || pasid === 0 : pasid === wanted;
}

function onlyDevice({ contexts, domains }: Tables): string {
  const names = [...new Set([...contexts, ...domains].map(({ device }) => device.toLowerCase().replace(/^0000:/, '')))];
  if (names.length === 1) return names[0] as string;
  const known =
    names.length === 0
      ? 'the inputs name none'
      : `the inputs have ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}`;
  throw new WalkRefused(`whose address it is has to be said (--device BUS:DEVICE.FUNCTION): ${known}`);
}

function rootTableOf({ given, rootTables }: Tables, row: ContextRow | undefined): RootTable | null {
  const register = given.get('vtd.rtaddr');
  if (register !== undefined) return rootTableIn(register);
  if (row !== undefined) return rootTables.get(row.unit) ?? null;
  return rootTables.size === 1 ? ([...rootTables.values()][0] as RootTable) : null;
}

/** What RTADDR says (VT-d 11.4.5). */
export function rootTableIn(register: DecodedStructure): RootTable {
  return { address: fieldOf(register, 'RTA'), scalable: fieldOf(register, 'TTM') === SCALABLE };
}

/** @throws WalkRefused */
function assumedRoot({ levels, looksFirstStage, table }: DomainTable, assumed: Set<string>): VtdRoot {
  if (levels === 0) throw new WalkRefused('the page table has no rows: nothing is mapped, or the dump was cut');
  assumed.add(
    looksFirstStage
      ? 'a first stage: bit 2 (U/S) is set in its entries, as Linux does'
      : 'a second stage: bit 2 is clear in its entries; add dmar_translation_struct to be sure',
  );
  assumed.add(`${levels} levels, as the rows have`);
  const stage = looksFirstStage ? 'first' : 'second';
  return { stage, table, levels, nestedIn: null, scalable: looksFirstStage, supervisor: false, wpe: false };
}

/** One access, from where the inputs let it begin. */
class Way {
  private readonly reader: Reader;
  private readonly tables: Tables;
  private readonly device: string;
  private readonly question: WalkQuestion;
  private readonly walk: VtdWalk;

  constructor(reader: Reader, question: WalkQuestion & { device: string }, access: WalkAccess) {
    this.reader = reader;
    this.tables = reader.tables;
    this.device = question.device;
    this.question = question;
    this.walk = new VtdWalk(reader, access);
  }

  private get row(): ContextRow | undefined {
    return this.tables.contexts.find(
      (context) => sameDevice(context.device, this.device) && matches(context, this.question.pasid),
    );
  }

  run(): WalkEnd {
    const { address, pasid } = this.question;
    const { given } = this.tables;
    const entry = given.get('vtd.pasid');
    if (entry !== undefined)
      return this.throughEntry(this.reader.told('PASID-table entry, as it is given', entry), false);
    const context = given.get('vtd.context');
    if (context !== undefined) return this.throughContext(this.reader.told('context entry, as it is given', context));
    const root = rootTableOf(this.tables, this.row);
    if (root !== null) return this.fromRoot(root);
    const domain = this.tables.domains.find((table) => sameDevice(table.device, this.device) && table.pasid === pasid);
    if (domain !== undefined) return this.walk.pages(assumedRoot(domain, this.reader.assumed), address);
    throw new WalkRefused(
      `nothing says where the tables of ${this.device} are; add iommu_regset, dmar_translation_struct or its domain_translation_struct`,
    );
  }

  private fromRoot(root: RootTable): WalkEnd {
    const requester = pciRequester(this.device);
    if (requester === null) throw new WalkRefused(`'${this.device}' is no BUS:DEVICE.FUNCTION`);
    const [bus, devfn] = [requester.id >> 8, requester.id & 0xff];
    const at = root.address + 16n * BigInt(bus);
    const what = `root entry of bus 0x${bus.toString(16)}`;
    return root.scalable
      ? this.scalable(this.reader.read('vtd.sm-root', what, at), devfn)
      : this.legacy(this.reader.read('vtd.root', what, at), devfn);
  }

  private legacy(root: DecodedStructure, devfn: number): WalkEnd {
    must(fieldOf(root, 'P') === 1n, FAULT.rootNotPresent);
    must(isClean(root, 'CTP'), FAULT.rootReserved);
    const at = contextAddress([root.words[0] as bigint, 0n], devfn, false);
    return this.throughContext(this.reader.read('vtd.context', `context entry of ${this.device}`, at));
  }

  private throughContext(context: DecodedStructure): WalkEnd {
    const { address } = this.question;
    must(fieldOf(context, 'P') === 1n, FAULT.contextNotPresent);
    const [type, width] = [fieldOf(context, 'TT'), Number(fieldOf(context, 'AW'))];
    must(type === 2n ? context.reserved.length === 0 : isClean(context, 'SSPTPTR'), FAULT.contextReserved);
    must(type !== 3n && width >= 1 && width <= 3, FAULT.contextInvalid);
    if (type === 2n) return passed(address, FAULT.beyondAddressWidth);
    const table = fieldOf(context, 'SSPTPTR');
    const pages = { table, levels: levelsOf(width), nestedIn: null, scalable: false, supervisor: false, wpe: false };
    return this.walk.pages({ stage: 'second', ...pages }, address);
  }

  private scalable(root: DecodedStructure, devfn: number): WalkEnd {
    const upper = devfn >= 0x80;
    must(fieldOf(root, upper ? 'UP' : 'LP') === 1n, SM_FAULT.rootNotPresent);
    // Only the half that is used counts.
    must(
      !root.reserved.some(({ lo }) => lo >= 64 === upper) && fieldOf(root, upper ? 'UCTP' : 'LCTP') >> WIDEST === 0n,
      SM_FAULT.rootReserved,
    );
    const at = contextAddress([root.words[0] as bigint, root.words[1] as bigint], devfn, true);
    const context = this.reader.read('vtd.sm-context', `context entry of ${this.device}`, at, UPPER_WORDS_MAY_LACK);
    must(fieldOf(context, 'P') === 1n, SM_FAULT.contextNotPresent);
    must(isClean(context, 'PASIDDIRPTR'), SM_FAULT.contextReserved);
    const known = 2n ** (fieldOf(context, 'PDTS') + 13n);
    const own = fieldOf(context, 'RID_PASID');
    must(own < known, SM_FAULT.contextInvalid);
    const asked = this.question.pasid;
    if (asked !== null) {
      must(fieldOf(context, 'PASIDE') === 1n, SM_FAULT.pasidDisabled);
      must(BigInt(asked) < known, SM_FAULT.pasidBeyondDirectory);
      must(BigInt(asked) !== own, SM_FAULT.pasidIsOfRequester);
    }
    const entry = this.pasidEntry(fieldOf(context, 'PASIDDIRPTR'), asked ?? Number(own));
    return this.throughEntry(entry, asked === null && fieldOf(context, 'RID_PRIV') === 1n);
  }

  private throughEntry(entry: DecodedStructure, supervisor: boolean): WalkEnd {
    const { address } = this.question;
    must(fieldOf(entry, 'P') === 1n, SM_FAULT.entryNotPresent);
    must(isClean(entry, 'SSPTPTR', 'FSPTPTR'), SM_FAULT.entryReserved);
    const type = Number(fieldOf(entry, 'PGTT'));
    must(type >= PGTT.firstStage && type <= PGTT.passThrough, SM_FAULT.entryInvalid);
    const [width, mode] = [Number(fieldOf(entry, 'AW')), Number(fieldOf(entry, 'FSPM'))];
    const useSecond = type === PGTT.secondStage || type === PGTT.nested;
    must(!useSecond || (width >= 1 && width <= 3), SM_FAULT.entryInvalid);
    must(mode <= 1, SM_FAULT.entryInvalid);
    const levels = levelsOf(width);
    const firstTable = fieldOf(entry, 'FSPTPTR');
    if (type === PGTT.nested) must(firstTable >> BigInt(12 + 9 * levels) === 0n, SM_FAULT.entryInvalid);
    must(!supervisor || fieldOf(entry, 'SRE') === 1n, SM_FAULT.supervisorDisabled);
    if (type === PGTT.passThrough) return passed(address, SM_FAULT.beyondHostWidth);
    const table = fieldOf(entry, 'SSPTPTR');
    const second: VtdRoot = {
      stage: 'second',
      table,
      levels,
      nestedIn: null,
      scalable: true,
      supervisor: false,
      wpe: false,
    };
    if (type === PGTT.secondStage) return this.walk.pages(second, address);
    const nestedIn = type === PGTT.nested ? second : null;
    const wpe = fieldOf(entry, 'WPE') === 1n;
    const first = { table: firstTable, levels: 4 + mode, nestedIn, scalable: true, supervisor, wpe };
    return this.walk.pages({ stage: 'first', ...first }, address);
  }

  /** From memory, or as the row of dmar_translation_struct tells it. */
  private pasidEntry(directory: bigint, pasid: number): DecodedStructure {
    const at = directory + 8n * BigInt(pasid >> 6);
    const what = `PASID-table entry 0x${pasid.toString(16)}`;
    const told = this.row?.entry;
    if (!this.tables.words.has(at) && told != null) {
      const structure = decodeNamed('vtd.pasid', [...told, 0n, 0n, 0n, 0n, 0n]);
      this.reader.assumed.add('words 3 to 7 of the PASID-table entry are 0: the dump does not have them');
      return this.reader.told(what, structure);
    }
    const found = this.reader.read('vtd.pasid-dir', `PASID-directory entry 0x${(pasid >> 6).toString(16)}`, at);
    must(fieldOf(found, 'P') === 1n, SM_FAULT.directoryNotPresent);
    must(isClean(found, 'SMPTBLPTR'), SM_FAULT.directoryReserved);
    return this.reader.read('vtd.pasid', what, fieldOf(found, 'SMPTBLPTR') + 64n * BigInt(pasid & 63));
  }
}

function passed(address: bigint, tooWide: number): WalkEnd {
  must(address >> WIDEST === 0n, tooWide);
  return { kind: 'passed', address };
}

/** No reserved bit is set, and these pointers are addresses. */
function isClean(structure: DecodedStructure, ...pointers: string[]): boolean {
  return structure.reserved.length === 0 && pointers.every((name) => fieldOf(structure, name) >> WIDEST === 0n);
}
