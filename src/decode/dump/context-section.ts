/** debugfs `dmar_translation_struct` of Intel: root, context and PASID-table entries of each device, on one line or wrapped. */
import type { Detail, Finding } from '../finding.ts';
import { NOTHING, pciRequester } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';
import type { Opener, Section } from '../section.ts';
import type { DecodedStructure } from '../structure.ts';
import { bitsText, decodeNamed, fieldOf } from '../structure.ts';
import type { Tables } from './tables.ts';
import { contextAddress } from './vtd-root.ts';

const HEX = '0x[0-9a-f]{16}';
/** In the order in which a row has them; a wrapped row has them on several lines. */
const TOKENS = new RegExp(
  `(?<device>\\b[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]\\b)|(?<triple>${HEX}:${HEX}:${HEX})|(?<pair>${HEX}:${HEX})|(?<=^|\\s)(?<pasid>-?\\d{1,7})(?=\\s|$)`,
  'gi',
);
const HEAD = /^\s*(?:(?:B\.D\.F|Root_entry|Context_entry|PASID|PASID_table_entry)\s*)+$/;

interface Row {
  device: string;
  pairs: [bigint, bigint][];
  pasid: number | null;
  entry: [bigint, bigint, bigint] | null;
}

const open: Opener = ({ unit = '', base = '' }, tables): Section => {
  const rows: Row[] = [];
  return {
    take(line) {
      if (line.trim() === '' || HEAD.test(line)) return true;
      // Whatever else is on the line makes it another's.
      if (line.replace(TOKENS, '').trim() !== '') return false;
      for (const match of line.matchAll(TOKENS)) takeToken(rows, match.groups as Record<string, string | undefined>);
      return true;
    },
    close() {
      const whole = rows.filter(({ pairs }) => pairs.length === 2);
      if (tables !== null) keep(tables, unit, BigInt(base), whole);
      return [summary(unit, base, whole, rows.length - whole.length)];
    },
  };
};

function takeToken(rows: Row[], { device, pair, pasid, triple }: Record<string, string | undefined>): void {
  if (device !== undefined) rows.push({ device, pairs: [], pasid: null, entry: null });
  const row = rows.at(-1);
  if (row === undefined) return;
  if (pair !== undefined && row.pairs.length < 2) row.pairs.push(lowFirst(pair) as [bigint, bigint]);
  else if (pasid !== undefined) row.pasid = Number(pasid);
  else if (triple !== undefined) row.entry = lowFirst(triple) as [bigint, bigint, bigint];
}

/** Words are printed with the highest first. */
function lowFirst(text: string): bigint[] {
  return text.split(':').map(BigInt).reverse();
}

/** Root and context entries stand where the root table's address says. */
function keep(tables: Tables, unit: string, base: bigint, rows: readonly Row[]): void {
  const scalable = rows.some(({ pasid }) => pasid !== null && pasid >= 0);
  if (rows.length > 0) tables.rootTables.set(unit, { address: base, scalable });
  for (const { device, entry, pairs, pasid } of rows) {
    const [root, context] = pairs as [[bigint, bigint], [bigint, bigint]];
    const { id } = pciRequester(device) ?? { id: 0 };
    const rootAt = base + 16n * BigInt(id >> 8);
    const contextAt = contextAddress(root, id & 0xff, scalable);
    [rootAt, rootAt + 8n].forEach((at, i) => {
      tables.set(at, root[i] as bigint);
    });
    [contextAt, contextAt + 8n].forEach((at, i) => {
      tables.set(at, context[i] as bigint);
    });
    tables.contexts.push({ unit, device, pasid: scalable ? pasid : null, entry: scalable ? entry : null });
  }
}

function decodeRow({ device, entry, pairs, pasid }: Row): { structures: DecodedStructure[]; details: Detail[] } {
  const scalable = pasid !== null && pasid >= 0;
  const [root, context] = pairs as [[bigint, bigint], [bigint, bigint]];
  const structures = [
    decodeNamed(scalable ? 'vtd.sm-root' : 'vtd.root', root),
    decodeNamed(scalable ? 'vtd.sm-context' : 'vtd.context', scalable ? [...context, 0n, 0n] : context),
    ...(scalable && entry !== null ? [decodeNamed('vtd.pasid', [...entry, 0n, 0n, 0n, 0n, 0n])] : []),
  ];
  const who = scalable ? `${device} PASID ${pasid}` : device;
  const details = structures.flatMap(({ kind, reserved }) =>
    reserved.map((run) => [who, `${kind}: bits ${bitsText(run)} are reserved, and set`] as const),
  );
  return { structures, details };
}

/** Two tables under one domain id: entries of one are used for the other (VT-d 6.2). */
function sharedDomains(rows: readonly Row[]): Detail[] {
  const tableOf = new Map<bigint, { table: bigint; device: string }>();
  const out: Detail[] = [];
  for (const row of rows) {
    const { structures } = decodeRow(row);
    const entry =
      structures.find(({ kind }) => kind === 'vtd.pasid') ?? structures.find(({ kind }) => kind === 'vtd.context');
    if (entry === undefined || fieldOf(entry, 'P') === 0n) continue;
    const did = fieldOf(entry, 'DID');
    const stage = fieldOf(entry, 'PGTT');
    const table = fieldOf(entry, entry.kind === 'vtd.pasid' && stage === 1n ? 'FSPTPTR' : 'SSPTPTR');
    const known = tableOf.get(did);
    // Pass-through has no tables, and first stages of one domain may differ (their entries are tagged by PASID).
    if (table === 0n || stage === 1n || stage === 3n || stage === 4n) continue;
    if (known === undefined) tableOf.set(did, { table, device: row.device });
    else if (known.table !== table)
      out.push([`domain ${did}`, `${known.device} and ${row.device} have different tables under one domain id`]);
  }
  return out;
}

function summary(unit: string, base: string, rows: readonly Row[], cut: number): Finding {
  const all = rows.map(decodeRow);
  const details = [...all.flatMap((row) => row.details), ...sharedDomains(rows)];
  if (cut > 0) details.push(['cut', `${cut} rows without both entries`]);
  return {
    ...NOTHING,
    kind: 'vtd.contexts',
    model: 'vtd',
    severity: details.length > 0 ? 'warning' : 'info',
    summary: `${unit}: root table at ${base}, ${rows.length} context ${rows.length === 1 ? 'entry' : 'entries'}`,
    details,
    structures: all.flatMap((row) => row.structures),
  };
}

export const CONTEXTS_DUMP: LineFormat = {
  id: 'vtd.contexts',
  needle: 'Root Table Address',
  pattern: /IOMMU (?<unit>[\w.-]{1,32}): Root Table Address: ?(?<base>0x[0-9a-f]{1,16})/i,
  example: 'IOMMU dmar1: Root Table Address: 0x103027000',
  printedBy: 'Linux 5.2 and later, debugfs iommu/intel/dmar_translation_struct',
  section: open,
};
