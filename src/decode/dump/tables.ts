/** What inputs say of memory: words at physical addresses, and where tables begin. */
import type { DecodedStructure } from '../structure.ts';

/** What dmar_translation_struct says of a device; its root and context entry are in memory. */
export interface ContextRow {
  readonly unit: string;
  /** `bus:device.function`. */
  readonly device: string;
  /** Null in legacy mode. */
  readonly pasid: number | null;
  /** First three words of the PASID-table entry, whose address is not told. */
  readonly entry: readonly [bigint, bigint, bigint] | null;
}

/** Page tables of a device, of domain_translation_struct. */
export interface DomainTable {
  readonly device: string;
  readonly pasid: number | null;
  /** Physical address of the top table. */
  readonly table: bigint;
  /** Of the table, as far as its rows tell; 0 without any. */
  levels: number;
  /** Bit 2 is set in an entry, as Linux does in those of a first stage. */
  looksFirstStage: boolean;
}

export interface RootTable {
  readonly address: bigint;
  /** Its table mode (RTADDR.TTM). */
  readonly scalable: boolean;
}

/** 64-bit words by physical address: a map, or memory itself. */
export type Words = Pick<Map<bigint, bigint>, 'get' | 'set' | 'has' | 'size'>;

export class Tables {
  readonly words: Words;
  /** By unit. */
  readonly rootTables = new Map<string, RootTable>();
  readonly contexts: ContextRow[] = [];
  readonly domains: DomainTable[] = [];
  /** Registers and entries that tables begin at, by kind: of the command line, or of lines that name them. The last one holds. */
  readonly given = new Map<string, DecodedStructure>();
  /** Device table entries that devtbl of AMD-Vi has, by device. */
  readonly deviceEntries = new Map<string, DecodedStructure>();
  /** Words that two inputs, or two lines, say differently: the later one holds. */
  contradictions = 0;

  constructor(words: Words = new Map()) {
    this.words = words;
  }

  set(address: bigint, word: bigint): void {
    const known = this.words.get(address);
    if (known !== undefined && known !== word) this.contradictions++;
    this.words.set(address, word);
  }

  give(structure: DecodedStructure): void {
    const known = this.given.get(structure.kind);
    if (known?.words.some((word, i) => word !== structure.words[i])) this.contradictions++;
    this.given.set(structure.kind, structure);
  }
}

/** The same device in two spellings (with and without a segment). */
export function sameDevice(a: string, b: string): boolean {
  const short = (text: string) => text.toLowerCase().replace(/^0000:/, '');
  return short(a) === short(b);
}
