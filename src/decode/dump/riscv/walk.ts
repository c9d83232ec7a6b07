/** The RISC-V IOMMU's process to translate an IOVA (RISC-V IOMMU 2.3), through dumps. Numbers of steps are the specification's. */
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, decodeNamed, fieldOf } from '../../structure.ts';
import { descend } from '../radix.ts';
import type { Reader } from '../reader.ts';
import { fail } from '../reader.ts';
import { numberNeeded } from '../requester-number.ts';
import type { Tables } from '../tables.ts';
import type { WalkAccess, WalkEnd, WalkQuestion, WalkResult } from '../walk.ts';
import { WalkRefused, walkBoth } from '../walk.ts';
import type { Unit } from './checks.ts';
import { control, deviceContextError, PDTP_MODES, processContextError } from './checks.ts';
import { causeCode, RiscvPages } from './pages.ts';
import { DEVICE_DIRECTORY, PROCESS_DIRECTORY } from './schemes.ts';

/** What of an input a walk can begin with, the nearest to the pages first. */
export const RISCV_ROOTS: readonly string[] = ['riscv.dc', 'riscv.iosatp', 'riscv.iohgatp', 'riscv.ddtp'];
/** What else it takes from an input. */
export const RISCV_REGISTERS: readonly string[] = ['riscv.capabilities', 'riscv.fctl'];

const CAUSE = {
  off: 256,
  contextNotValid: 258,
  contextMisconfigured: 259,
  typeDisallowed: 260,
  processNotValid: 266,
  processMisconfigured: 267,
} as const;

/** ddtp.iommu_mode. */
const OFF = 0;
const BARE = 1;
const THREE_LEVELS = 4;

const fault = (cause: number, why: string | null = null): never => fail(causeCode(cause), why);

/** @throws WalkRefused where the inputs have not enough to begin */
export function walkRiscv(tables: Tables, question: WalkQuestion): WalkResult {
  const root = RISCV_ROOTS.find((kind) => tables.given.has(kind));
  if (root === undefined) throw new WalkRefused('nothing says where tables of a RISC-V IOMMU begin; give its ddtp');
  const device = root === 'riscv.ddtp' ? numberNeeded(question.device, 'device_id') : null;
  const of = question.device ?? `the ${root.slice('riscv.'.length)} that is given`;
  return walkBoth(tables, question, of, (reader, access) => new Way(reader, question, access).run(device));
}

class Way {
  private readonly reader: Reader;
  private readonly question: WalkQuestion;
  private readonly access: WalkAccess;
  private readonly unit: Unit;

  constructor(reader: Reader, question: WalkQuestion, access: WalkAccess) {
    const { given } = reader.tables;
    this.reader = reader;
    this.question = question;
    this.access = access;
    this.unit = { capabilities: given.get('riscv.capabilities') ?? null, fctl: given.get('riscv.fctl') ?? null };
  }

  run(device: number | null): WalkEnd {
    if (device !== null) return this.fromDirectory(device);
    const told = this.reader.tables.given.get('riscv.dc');
    if (told !== undefined) return this.fromContext(this.reader.told('device context, as it is given', told));
    return this.fromContext(this.contextOfRoots());
  }

  /** Steps 1 to 6. */
  private fromDirectory(device: number): WalkEnd {
    const { given } = this.reader.tables;
    const ddtp = this.reader.told('ddtp', given.get('riscv.ddtp') as DecodedStructure);
    const mode = Number(fieldOf(ddtp, 'iommu_mode'));
    if (mode === OFF) return fault(CAUSE.off);
    if (mode === BARE) return { kind: 'passed', address: this.question.address };
    if (mode > THREE_LEVELS) throw new WalkRefused(`ddtp.iommu_mode ${mode} is reserved: no directory begins there`);
    const levels = DEVICE_DIRECTORY[this.isExtended() ? 1 : 0].slice(THREE_LEVELS - mode);
    const top = levels[0] as (typeof levels)[0];
    const key = BigInt(device);
    if (key >> BigInt(top.shift + top.bits) !== 0n)
      fault(CAUSE.typeDisallowed, 'the device_id is too wide for the directory');
    const of = this.question.device as string;
    const dc = descend<DecodedStructure>(this.reader, {
      ...{ levels, table: fieldOf(ddtp, 'PPN'), key, of, bigEndian: control(this.unit, 'BE') === 1 },
      visit: (entry, { kind }) => {
        if (kind === 'riscv.dc') return { end: entry };
        if (fieldOf(entry, 'V') === 0n) fault(CAUSE.contextNotValid);
        const reserved = entry.reserved[0];
        if (reserved !== undefined)
          fault(CAUSE.contextMisconfigured, `bits ${bitsText(reserved)} are reserved, and set`);
        return { table: fieldOf(entry, 'PPN') };
      },
    });
    return this.fromContext(dc);
  }

  /** Contexts have 64 bytes with capabilities.MSI_FLAT, else 32. */
  private isExtended(): boolean {
    const { capabilities, fctl } = this.unit;
    if (capabilities !== null) return fieldOf(capabilities, 'MSI_FLAT') === 1n;
    this.reader.assumed.add(
      'capabilities.MSI_FLAT = 1: contexts of 64 bytes; a line "capabilities: 0x…" makes it sure',
    );
    if (fctl === null) this.reader.assumed.add('fctl = 0: little-endian, second stages of 64 bits');
    return true;
  }

  /** Of iosatp and iohgatp, where they alone are given. */
  private contextOfRoots(): DecodedStructure {
    const { given } = this.reader.tables;
    const word = (kind: string) => given.get(kind)?.words[0] ?? 0n;
    this.reader.assumed.add('a device context with nothing else set in tc: no process directory, SADE and GADE 0');
    const sxl = control(this.unit, 'GXL') === 1 ? 1n << 11n : 0n;
    const words = [1n | sxl, word('riscv.iohgatp'), 0n, word('riscv.iosatp')];
    return this.reader.told('device context, of what is given', decodeNamed('riscv.dc', words));
  }

  /** Steps 7 to 17, of untranslated requests. */
  private fromContext(dc: DecodedStructure): WalkEnd {
    const is = (name: string) => fieldOf(dc, `tc_${name}`) === 1n;
    const { address, pasid } = this.question;
    if (!is('V')) fault(CAUSE.contextNotValid);
    const wrong = deviceContextError(dc, this.unit);
    if (wrong !== null) fault(CAUSE.contextMisconfigured, wrong);
    const pages = new RiscvPages(this.reader, this.unit, this.access, dc);
    const mode = Number(fieldOf(dc, 'fsc_MODE'));
    const table = fieldOf(dc, 'fsc_PPN');
    if (!is('PDTV')) {
      if (pasid !== null) fault(CAUSE.typeDisallowed, 'the request has a process_id, and PDTV is 0');
      return pages.translate(mode, table, address);
    }
    const levels = PDTP_MODES[mode] === null ? [] : PROCESS_DIRECTORY.slice(PROCESS_DIRECTORY.length - mode);
    const top = levels[0];
    if (pasid !== null && top !== undefined && BigInt(pasid) >> BigInt(top.shift + top.bits) !== 0n)
      fault(CAUSE.typeDisallowed, 'the process_id is too wide for the directory');
    const asked = pasid ?? (is('DPE') ? 0 : null);
    if (asked === null || top === undefined) return pages.translate(0, 0n, address);
    const pc = this.processContext(dc, pages, levels, table, asked);
    return pages.translate(Number(fieldOf(pc, 'fsc_MODE')), fieldOf(pc, 'fsc_PPN'), address);
  }

  /** Step 14. */
  private processContext(
    dc: DecodedStructure,
    pages: RiscvPages,
    levels: typeof PROCESS_DIRECTORY,
    table: bigint,
    id: number,
  ): DecodedStructure {
    const pc = descend<DecodedStructure>(this.reader, {
      ...{ levels, table, key: BigInt(id), of: `process 0x${id.toString(16)}` },
      bigEndian: fieldOf(dc, 'tc_SBE') === 1n,
      place: (at) => pages.implicit(at, 'an entry of the process directory'),
      visit: (entry, { kind }) => {
        if (kind === 'riscv.pc') return { end: entry };
        if (fieldOf(entry, 'V') === 0n) fault(CAUSE.processNotValid);
        const reserved = entry.reserved[0];
        if (reserved !== undefined)
          fault(CAUSE.processMisconfigured, `bits ${bitsText(reserved)} are reserved, and set`);
        return { table: fieldOf(entry, 'PPN') };
      },
    });
    if (fieldOf(pc, 'ta_V') === 0n) fault(CAUSE.processNotValid);
    const wrong = processContextError(pc, dc, this.unit);
    if (wrong !== null) fault(CAUSE.processMisconfigured, wrong);
    return pc;
  }
}
