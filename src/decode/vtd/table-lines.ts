/** Linux's dump of what an address is translated by, after a fault (dmar_fault_dump_ptes, CONFIG_DMAR_DEBUG). */
import type { Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodeStructure, kindNamed } from '../structure.ts';

const HEX = '0x[0-9a-f]{1,16}';

/** What follows the head line. */
const ENTRY = new RegExp(
  [
    `(?<smRoot>scalable mode root entry): hi (?<smRootHi>${HEX}), low (?<smRootLo>${HEX})`,
    `(?<root>root entry): (?<rootLo>${HEX})`,
    `(?<context>context entry): hi (?<contextHi>${HEX}), low (?<contextLo>${HEX})`,
    `pasid dir entry: (?<directory>${HEX})`,
    String.raw`pasid table entry\[(?<word>\d)\]: (?<pasid>${HEX})`,
    `pte level: (?<level>[1-5]), pte value: (?<pte>${HEX})`,
    '(?<missing>(?:root|context|pasid) table is not present|page table not present at level [1-5]|pasid directory entry is not present|(?:legacy|scalable) mode page table is not present)',
  ].join('|'),
  'i',
);

const LEVEL_NAMES = ['', 'pte', 'pde', 'pdpe', 'pml4e', 'pml5e'];

function structuresOf(rest: readonly Groups[]): DecodedStructure[] {
  const scalable = rest.some(({ smRoot, directory }) => smRoot !== undefined || directory !== undefined);
  const out: DecodedStructure[] = [];
  const pasid: bigint[] = [];
  const add = (kind: string, ...words: (string | undefined)[]) => {
    const found = kindNamed(kind);
    const values = words.map((word) => (word === undefined ? 0n : hexNumber(word)));
    if (found !== null && values.every((value) => value !== null)) out.push(decodeStructure(found, values as bigint[]));
  };
  for (const line of rest) {
    if (line.smRoot !== undefined) add('vtd.sm-root', line.smRootLo, line.smRootHi);
    else if (line.root !== undefined) add('vtd.root', line.rootLo, '0x0');
    else if (line.context !== undefined) {
      if (scalable) add('vtd.sm-context', line.contextLo, line.contextHi, '0x0', '0x0');
      else add('vtd.context', line.contextLo, line.contextHi);
    } else if (line.directory !== undefined) add('vtd.pasid-dir', line.directory);
    else if (line.pasid !== undefined) {
      pasid[Number(line.word)] = hexNumber(line.pasid) ?? 0n;
      if (pasid.length === 8) add('vtd.pasid', ...Array.from(pasid, (word) => `0x${(word ?? 0n).toString(16)}`));
    } else if (line.level !== undefined) add(`vtd.${stageOf(out)}-${LEVEL_NAMES[Number(line.level)]}`, line.pte);
  }
  return out;
}

/** First or second stage: what the PASID-table entry says of it. */
function stageOf(before: readonly DecodedStructure[]): 'fs' | 'ss' {
  const entry = before.find(({ kind }) => kind === 'vtd.pasid');
  const type = entry?.fields.find(({ name }) => name === 'PGTT')?.value;
  return type === 1n || type === 3n ? 'fs' : 'ss';
}

function dump(first: Groups, rest: readonly Groups[]): Finding | null {
  const address = hexNumber(first.iova ?? '');
  if (address === null) return null;
  const structures = structuresOf(rest);
  const missing = rest.find((line) => line.missing !== undefined)?.missing;
  const cut = rest.length === 0 ? 'nothing follows' : `${structures.length} entries`;
  return {
    ...NOTHING,
    kind: 'vtd.table-dump',
    model: 'vtd',
    severity: 'info',
    summary: `tables of 0x${address.toString(16)} on ${first.unit}: ${missing ?? cut}`,
    address: { value: address, space: 'IOVA' },
    structures,
  };
}

export const TABLE_LINES: readonly LineFormat[] = [
  {
    id: 'vtd.table-dump',
    needle: 'table entries for IOVA',
    pattern: /Dump (?<unit>[\w.-]{1,32}) table entries for IOVA (?<iova>0x[0-9a-f]{1,16})/i,
    example: 'DMAR: Dump dmar0 table entries for IOVA 0x9c000000',
    printedBy: 'Linux 5.17 and later, with CONFIG_DMAR_DEBUG',
    decode: (groups) => dump(groups, []),
    // Two root or context lines, a directory entry, eight words of a PASID entry, five levels, and a last word.
    follow: {
      pattern: ENTRY,
      count: 20,
      example: [
        'DMAR: scalable mode root entry: hi 0x00000001030dd001, low 0x00000001030dc001',
        'DMAR: context entry: hi 0x0000000000000000, low 0x0000000103220e7d',
        'DMAR: pasid dir entry: 0x0000000103221001',
        ...[0x00000001038a5089n, 0x800002n, 0n, 0n, 0n, 0n, 0n, 0n].map(
          (word, i) => `DMAR: pasid table entry[${i}]: 0x${word.toString(16).padStart(16, '0')}`,
        ),
        'DMAR: pte level: 4, pte value: 0x00000001a30a7003',
        'DMAR: page table not present at level 3',
      ],
      decode: dump,
    },
  },
];
