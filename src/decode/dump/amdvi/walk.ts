/**
 * AMD-Vi's way of a request (AMD-Vi 2.2.2.1 and following), through dumps. Not looked at: the exclusion range, ranges of HyperTransport other than that of
 * interrupts, and A and D of guest entries, which the unit sets by itself.
 */
import { DTE_BYTES, gcr3TableRoot } from '../../../iommu/amdvi/structures.ts';
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, fieldOf } from '../../structure.ts';
import type { Reader } from '../reader.ts';
import { fail } from '../reader.ts';
import { numberNeeded } from '../requester-number.ts';
import type { Tables } from '../tables.ts';
import { sameDevice } from '../tables.ts';
import type { WalkAccess, WalkEnd, WalkQuestion, WalkResult } from '../walk.ts';
import { WalkRefused, walkBoth } from '../walk.ts';
import { interrupt, isInterrupt } from './interrupts.ts';
import { AmdPages, EVENT, eventCode } from './pages.ts';

/** What of an input a walk can begin with, the nearest to the pages first. */
export const AMD_ROOTS: readonly string[] = ['amdvi.dte', 'amdvi.device-table-base'];
/** What else it takes from an input. */
export const AMD_REGISTERS: readonly string[] = ['amdvi.control'];

/** Bits of the entry that requests for memory go by. */
const DMA_BITS = 128;
const MODE_RESERVED = 7;
const GLX_RESERVED = 3;

/** @throws WalkRefused where the inputs have not enough to begin */
export function walkAmd(tables: Tables, question: WalkQuestion): WalkResult {
  const told = entryTold(tables, question.device);
  const of = question.device ?? told?.of ?? 'the DTE that is given';
  return walkBoth(tables, question, of, (reader, access) => {
    const dte = told === null ? entryInTable(reader, question) : reader.told(`device table entry of ${of}`, told.dte);
    return throughEntry(reader, dte, question, access);
  });
}

/** The entry as the command line, a line or a row of devtbl has it. */
function entryTold(
  { deviceEntries, given }: Tables,
  device: string | null,
): { of: string; dte: DecodedStructure } | null {
  const dte = given.get('amdvi.dte');
  if (dte !== undefined) return { of: device ?? 'the DTE that is given', dte };
  const rows = [...deviceEntries].filter(([name]) => device === null || sameDevice(name, device));
  if (rows.length === 1)
    return { of: (rows[0] as [string, DecodedStructure])[0], dte: rows[0]?.[1] as DecodedStructure };
  if (given.has('amdvi.device-table-base')) return null;
  const known = [...deviceEntries.keys()].slice(0, 8).join(', ');
  if (rows.length > 1)
    throw new WalkRefused(
      `whose address it is has to be said (--device BUS:DEVICE.FUNCTION): the inputs have ${known}`,
    );
  throw new WalkRefused(
    `nothing says where the entry of ${device} is; the inputs have ${known}: add its devtbl, or mmio`,
  );
}

function entryInTable(reader: Reader, { device }: WalkQuestion): DecodedStructure {
  const { given } = reader.tables;
  const id = numberNeeded(device, 'DeviceID');
  const control = given.get('amdvi.control');
  if (control !== undefined && fieldOf(control, 'DevTblSegEn') !== 0n && id >> 13 !== 0)
    throw new WalkRefused('the device table has segments (CONTROL.DevTblSegEn): give the entry, with --as amdvi.dte');
  const base = reader.told('device table base', given.get('amdvi.device-table-base') as DecodedStructure);
  const count = ((Number(fieldOf(base, 'Size')) + 1) * 4096) / DTE_BYTES;
  if (id >= count) throw new WalkRefused(`the device table has ${count} entries: ${device} is beyond it`);
  const at = fieldOf(base, 'DevTabBase') + BigInt(id * DTE_BYTES);
  return reader.read('amdvi.dte', `device table entry of ${device}`, at);
}

function throughEntry(reader: Reader, dte: DecodedStructure, question: WalkQuestion, access: WalkAccess): WalkEnd {
  const { address, data = null, pasid } = question;
  const is = (name: string) => fieldOf(dte, name) === 1n;
  // Requests with a PASID have their whole address space to themselves.
  if (pasid === null && isInterrupt(address)) return interrupt(reader, dte, data, access);
  if (!is('V')) return { kind: 'passed', address };
  const reserved = dte.reserved.find(({ lo }) => lo < DMA_BITS);
  if (reserved !== undefined) fail(eventCode(EVENT.illegalEntry), `bits ${bitsText(reserved)} are reserved, and set`);
  const [mayRead, mayWrite] = [is('IR'), is('IW')];
  const mode = is('TV') ? Number(fieldOf(dte, 'Mode')) : 0;
  if (mode === MODE_RESERVED) fail(eventCode(EVENT.illegalEntry), 'Mode 7 is reserved');
  const pages = new AmdPages(reader, { mode, table: fieldOf(dte, 'HostPageTableRoot'), mayRead, mayWrite });
  const guest = is('TV') && is('GV') && (pasid !== null || is('GIoV'));
  if (!guest) {
    if (pasid !== null)
      return { kind: 'refused', text: 'refused: the request has a PASID, and the entry no guest tables (GV)' };
    const leaf = pages.translate(address, access);
    return leaf === null ? { kind: 'passed', address } : pageEnd(leaf);
  }
  return throughGuest(reader, dte, pages, { address, pasid: pasid ?? 0, access });
}

function throughGuest(
  reader: Reader,
  dte: DecodedStructure,
  pages: AmdPages,
  { access, address, pasid }: { address: bigint; pasid: number; access: WalkAccess },
): WalkEnd {
  const glx = Number(fieldOf(dte, 'GLX'));
  if (glx === GLX_RESERVED) fail(eventCode(EVENT.illegalEntry), 'GLX 3 is reserved');
  if (!reader.tables.given.has('amdvi.control')) reader.assumed.add('CONTROL.GTEn = 1: guest translation is on');
  const part = (name: string) => Number(fieldOf(dte, name));
  const table = gcr3TableRoot({
    GCR3TableRoot_14_12: part('GCR3TableRoot_14_12'),
    GCR3TableRoot_30_15: part('GCR3TableRoot_30_15'),
    GCR3TableRoot_51_31: part('GCR3TableRoot_51_31'),
  });
  const root = pages.gcr3(table, glx, pasid);
  if (root === null) return { kind: 'refused', text: 'refused: the PASID is beyond the GCR3 table' };
  const mode = part('GuestPagingMode');
  if (mode > 1) fail(eventCode(EVENT.illegalEntry), `GuestPagingMode ${mode} is reserved`);
  const leaf = pages.guest(root, 4 + mode, address, access);
  const host = pages.translate(leaf.address, access, 1);
  if (host === null) return pageEnd(leaf);
  return pageEnd({ address: host.address, bytes: host.bytes < leaf.bytes ? host.bytes : leaf.bytes });
}

function pageEnd({ address, bytes }: { address: bigint; bytes: bigint }): WalkEnd {
  return { kind: 'page', address, bytes: Number(bytes) };
}
