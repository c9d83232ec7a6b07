/** debugfs `domain_translation_struct` of Intel: a row a page, with the entry of each level; on one line or wrapped. */
import { hexNumber, NOTHING } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';
import type { Opener, Section } from '../section.ts';
import type { DomainTable, Tables } from './tables.ts';

const COLUMNS = ['PML5E', 'PML4E', 'PDPE', 'PDE', 'PTE'] as const;
const HEAD = /^\s*(?:IOVA_PFN\s+)?((?:PML5E|PML4E|PDPE|PDE|PTE)(?:\s+(?:PML4E|PDPE|PDE|PTE))*)\s*$/;
const ROW = /^\s*(?:0x([0-9a-f]{1,16}) \|\s*)?((?:0x[0-9a-f]{16}\s*){1,5})$/i;

const PRESENT = 3n;
const PS = 1n << 7n;
const US = 1n << 2n;
const ADDRESS = 0xffffffffff000n;

const open: Opener = ({ base = '', device = '', pasid }, tables): Section => {
  const table: DomainTable = {
    ...{ device, table: BigInt(base), levels: 0, looksFirstStage: false },
    pasid: pasid === undefined ? null : Number.parseInt(pasid, 16),
  };
  const build = new Rows(table, tables);
  return {
    take: (line) => build.take(line),
    close() {
      build.flush();
      tables?.domains.push(table);
      const who = table.pasid === null ? device : `${device} PASID 0x${table.pasid.toString(16)}`;
      const pages = `${build.count.toLocaleString('en')} ${build.count === 1 ? 'row' : 'rows'}`;
      return [
        {
          ...NOTHING,
          kind: 'vtd.page-tables',
          model: 'vtd',
          severity: 'info',
          summary: `page tables of ${who} at 0x${table.table.toString(16)}: ${pages}${table.levels > 0 ? `, ${table.levels} levels` : ''}`,
        },
      ];
    },
  };
};

/** Rows, of which wrapped ones come in blocks: first the page with some columns, then the others in the same order. */
class Rows {
  count = 0;
  private readonly table: DomainTable;
  private readonly tables: Tables | null;
  private columns: number[] = [0, 1, 2, 3, 4];
  private wrapped: { page: bigint; entries: bigint[] }[] = [];
  private next = 0;

  constructor(table: DomainTable, tables: Tables | null) {
    this.table = table;
    this.tables = tables;
  }

  take(line: string): boolean {
    if (line.trim() === '') return true;
    const head = HEAD.exec(line);
    if (head !== null) {
      if (line.includes('IOVA_PFN')) this.flush();
      this.columns = (head[1] as string)
        .trim()
        .split(/\s+/)
        .map((name) => COLUMNS.indexOf(name as 'PTE'));
      this.next = 0;
      return true;
    }
    const row = ROW.exec(line);
    if (row === null) return false;
    const values = (row[2] as string).trim().split(/\s+/).map(BigInt);
    if (row[1] !== undefined) this.begin(hexNumber(row[1]) as bigint, values);
    else this.fill(values);
    return true;
  }

  private begin(page: bigint, values: readonly bigint[]): void {
    const entries: bigint[] = [];
    values.forEach((value, i) => {
      entries[this.columns[i] ?? i] = value;
    });
    this.count++;
    // Whole rows are kept at once: there may be millions.
    if (this.columns.length === COLUMNS.length) this.keep(page, entries);
    else this.wrapped.push({ page, entries });
  }

  private fill(values: readonly bigint[]): void {
    const row = this.wrapped[this.next++];
    values.forEach((value, i) => {
      if (row !== undefined) row.entries[this.columns[i] as number] = value;
    });
  }

  flush(): void {
    for (const { page, entries } of this.wrapped) this.keep(page, entries);
    this.wrapped = [];
    this.next = 0;
  }

  /** Each entry at its place in memory: its table is known from the one above. */
  private keep(page: bigint, entries: readonly bigint[]): void {
    const { table, tables } = this;
    const top = entries.findIndex((entry) => (entry ?? 0n) !== 0n);
    if (top < 0) return;
    table.levels = Math.max(table.levels, COLUMNS.length - top);
    let at = table.table;
    for (let column = COLUMNS.length - table.levels; column < COLUMNS.length; column++) {
      const entry = entries[column] ?? 0n;
      const level = COLUMNS.length - column;
      if ((entry & US) !== 0n) table.looksFirstStage = true;
      const index = (page >> BigInt(9 * (level - 1))) & 511n;
      tables?.set(at + 8n * index, entry);
      if ((entry & PRESENT) === 0n || (level > 1 && (entry & PS) !== 0n)) break;
      at = entry & ADDRESS;
    }
  }
}

export const PAGE_TABLES_DUMP: LineFormat = {
  id: 'vtd.page-tables',
  needle: 'Device ',
  pattern:
    /\bDevice (?<device>(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?: with pasid (?<pasid>[0-9a-f]{1,5}))? @(?<base>0x[0-9a-f]{1,16})\s*$/i,
  example: 'Device 0000:00:02.0 @0x1017f8000',
  printedBy: 'Linux, debugfs iommu/intel/DEVICE/domain_translation_struct',
  section: open,
};
