/** What QEMU's own VT-d unit (hw/i386/intel_iommu.c) says of faults on its standard error, each message once. */
import { suspects } from '../causes.ts';
import type { Finding } from '../finding.ts';
import { hexNumber, NOTHING, pciRequester } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { decodedOrNull, kindNamed, reservedText } from '../structure.ts';
import { missingPage, OVERFLOW } from '../suspects.ts';

const LEVEL_NAMES = ['', 'pte', 'pde', 'pdpe', 'pml4e', 'pml5e'];
/** What it prints as PASID where there is none. */
const NO_PASID = 0xffffffff;

/** The paging entry that it stopped at. First-stage entries are "fl" and "fs", those of the second stage "sl" and "ss". */
function entry({ address, level, pasid, stage, value, what, write }: Groups): Finding | null {
  const [at, word] = [hexNumber(address ?? ''), hexNumber(value ?? '')];
  const name = LEVEL_NAMES[Number.parseInt(level ?? '', 16)];
  const kind = kindNamed(`vtd.${stage?.startsWith('f') === true ? 'fs' : 'ss'}-${name}`);
  if (at === null || word === null || kind === null) return null;
  const decoded = decodedOrNull(kind, [word]);
  const id = pasid === undefined ? NO_PASID : Number(hexNumber(pasid));
  const access = write === undefined ? null : write === '1' ? 'write' : 'read';
  const reserved = what === 'reserved';
  const why = reserved
    ? 'a reserved bit is set in the entry'
    : word === 0n
      ? 'the entry is 0'
      : 'the entry does not permit it';
  return {
    ...NOTHING,
    kind: 'vtd.qemu-entry',
    model: 'vtd',
    severity: 'error',
    summary: `QEMU's walk for a ${access ?? 'request'} of 0x${at.toString(16)} ended at level ${Number.parseInt(level ?? '', 16)}: ${why}`,
    access,
    address: { value: at, space: 'IOVA' },
    details: id === NO_PASID ? [] : [['PASID', `0x${id.toString(16)}`]],
    structures: decoded === null ? [] : [decoded],
    causes: reserved
      ? suspects({ likely: ['corrupt-entry'] })
      : missingPage({
          access,
          address: at,
          pasid: id === NO_PASID ? null : id,
          present: word !== 0n,
          own: ['caching-mode'],
        }),
  };
}

/** Bus, device and function with colons between. */
function failure({ address, device, pasid }: Groups): Finding | null {
  const at = hexNumber(address ?? '');
  const name = (device ?? '').replace(/:([0-9a-f]{2})$/i, (_, fn: string) => `.${Number.parseInt(fn, 16)}`);
  const id = pasid === undefined ? NO_PASID : Number(hexNumber(pasid));
  const requester = pciRequester(name, id === NO_PASID ? null : id);
  if (at === null || requester === null) return null;
  return {
    ...NOTHING,
    kind: 'vtd.qemu-fault',
    model: 'vtd',
    severity: 'error',
    summary: `${requester.text}: QEMU's VT-d unit did not translate 0x${at.toString(16)}; the guest's log has the reason`,
    requester,
    address: { value: at, space: 'IOVA' },
    causes: missingPage({ access: null, address: at, pasid: requester.pasid, own: ['caching-mode', 'not-attached'] }),
  };
}

/** Kind of what is not valid, by QEMU's name of it. */
const KIND_OF: Readonly<Record<string, string>> = {
  'root entry': 'vtd.root',
  'context entry': 'vtd.context',
  irte: 'vtd.irte',
};
const INVALID_TEXT: Readonly<Record<string, string>> = {
  'root entry': 'a root entry',
  'context entry': 'a context entry',
  irte: 'an interrupt remapping entry',
};

/** An entry, or a descriptor, that QEMU refuses; which bits it minds is seen in the decoded words. */
function invalid({ high, index, low, what, why }: Groups): Finding | null {
  const words = [hexNumber(low ?? ''), hexNumber(high ?? '')];
  if (words.some((word) => word === null)) return null;
  const kind = kindNamed(KIND_OF[what ?? ''] ?? 'vtd.inv');
  const decoded = kind === null ? null : decodedOrNull(kind, words as bigint[]);
  const isEntry = what !== undefined && what in KIND_OF;
  const reserved = decoded === null ? null : reservedText(decoded);
  return {
    ...NOTHING,
    kind: isEntry && what === 'irte' ? 'vtd.qemu-irte' : 'vtd.qemu-invalid',
    model: 'vtd',
    severity: 'error',
    summary: `QEMU refuses ${INVALID_TEXT[what ?? ''] ?? `a descriptor (${decoded?.name ?? 'of no type'})`}${reserved === null ? '' : `: reserved ${reserved} set`}${why === undefined ? '' : ` (${why})`}`,
    address: index === undefined ? null : { value: BigInt(index), space: 'interrupt index' },
    structures: decoded === null ? [] : [decoded],
    causes: suspects({ likely: [isEntry ? 'corrupt-entry' : 'descriptor-damaged'] }),
  };
}

const HEX = (name: string) => `(?<${name}>0x[0-9a-f]{1,16}|0)`;
const BY = 'vtd_iova_to_(?<stage>sl|ss|fl|fs)pte: detected ';

export const QEMU_LINES: readonly LineFormat[] = [
  {
    id: 'vtd.qemu-entry',
    needle: 'pte permission error (iova=',
    pattern: new RegExp(
      String.raw`${BY}\w{5} permission error \(iova=${HEX('address')}, level=0x(?<level>[1-5]), \w{5}=${HEX('value')}, write=(?<write>[01])(?:, pasid=${HEX('pasid')})?\)`,
      'i',
    ),
    example:
      'qemu-system-x86_64: vtd_iova_to_slpte: detected slpte permission error (iova=0xfd200000, level=0x2, slpte=0x0, write=0, pasid=0xffffffff)',
    printedBy: 'QEMU 4.0 and later, once; pasid since 7.2',
    decode: entry,
  },
  {
    id: 'vtd.qemu-entry.reserved',
    needle: 'reserve non-zero iova=',
    // The comma before the entry is missing in what QEMU prints.
    pattern: new RegExp(
      String.raw`${BY}\w{5} (?<what>reserve)d? non-zero iova=${HEX('address')}, level=0x(?<level>[1-5]),? ?\w{5}=${HEX('value')}`,
      'i',
    ),
    example:
      'qemu-system-x86_64: vtd_iova_to_slpte: detected splte reserve non-zero iova=0xfffff002, level=0x1slpte=0x102681803)',
    printedBy: 'QEMU 4.0 and later, once',
    decode: (groups) => entry({ ...groups, what: 'reserved' }),
  },
  {
    id: 'vtd.qemu-fault',
    needle: 'detected translation failure (dev=',
    pattern: new RegExp(
      String.raw`vtd_iommu_translate: detected translation failure \(dev=(?<device>[0-9a-f]{2}:[0-9a-f]{2}:0[0-7]), (?:pasid=${HEX('pasid')}, )?iova=${HEX('address')}\)`,
      'i',
    ),
    example: 'qemu-system-x86_64: vtd_iommu_translate: detected translation failure (dev=03:00:00, iova=0xfd200000)',
    printedBy: 'QEMU 4.0 and later, once',
    decode: failure,
  },
  {
    id: 'vtd.qemu-compressed',
    needle: 'New fault is not recorded due to compression of faults',
    pattern: /New fault is not recorded due to compression of faults/,
    example: 'qemu-system-x86_64: New fault is not recorded due to compression of faults',
    printedBy: 'QEMU 4.0 and later, once',
    decode: () => ({
      ...NOTHING,
      kind: 'vtd.qemu-compressed',
      model: 'vtd',
      severity: 'info',
      summary: 'a fault of the same requester is pending in a record: this one is not recorded beside it',
      causes: [...OVERFLOW],
    }),
  },
  {
    id: 'vtd.qemu-invalid',
    needle: ': invalid ',
    // Numbers have 0x in newer versions; PASID and scalable entries have more than two words.
    pattern:
      /vtd_\w{3,60}: invalid (?<what>inv desc|cc inv desc|iotlb inv desc|piotlb inv desc|iec inv desc|wait desc|dev tlb inv desc|pc inv desc|root entry|context entry): hi=(?:0x)?(?<high>[0-9a-f]{1,16}), ?lo=(?:0x)?(?<low>[0-9a-f]{1,16})(?: \((?<why>[^)]{1,60})\))?/,
    example: 'qemu-system-x86_64: vtd_process_inv_desc: invalid inv desc: hi=0, lo=f (unknown type)',
    printedBy: 'QEMU 4.0 and later, once',
    decode: invalid,
  },
  {
    id: 'vtd.qemu-irte',
    needle: 'detected non-zero reserved IRTE',
    pattern:
      /detected non-zero reserved IRTE \(index=(?<index>\d{1,5}), high=(?:0x)?(?<high>[0-9a-f]{1,16}), low=(?:0x)?(?<low>[0-9a-f]{1,16})\)/,
    example:
      'qemu-system-x86_64: vtd_irte_get: detected non-zero reserved IRTE (index=3, high=0x40020, low=0x8000000000310001)',
    printedBy: 'QEMU 4.0 and later, once',
    decode: (groups) => invalid({ ...groups, what: 'irte' }),
  },
];
