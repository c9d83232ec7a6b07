/** A function as `lspci -vv` shows it: what of it has to do with an IOMMU. */
import { bdf } from '../finding.ts';

/** A capability that is switched: off, on, or not there. */
export type Switch = boolean | null;

export interface PciFunction {
  /** `[segment:]bus:device.function`, as it is written. */
  readonly text: string;
  /** Bus 15:8, device 7:3, function 2:0. */
  readonly id: number;
  /** `Ethernet controller: …`. */
  readonly title: string;
  group: number | null;
  driver: string | null;
  ats: Switch;
  pri: Switch;
  pasid: Switch;
  /** Widest PASID, in bits. */
  pasidBits: number | null;
  sriov: Switch;
  /** Virtual functions that there are, and their places: the first is so far from this one, the others so far from each other. */
  virtualFunctions: number;
  firstOffset: number;
  stride: number;
  /** A port that isolates: it has ACS, and which parts of it are on. */
  acs: readonly string[] | null;
}

const HEAD =
  /^(?<text>(?:[0-9a-f]{4,8}:)?(?<bus>[0-9a-f]{2}):(?<device>[01][0-9a-f])\.(?<fn>[0-7])) (?<title>\S.{2,200})$/;

/** @returns null for a line that begins none */
export function functionOf(line: string): PciFunction | null {
  const { bus, device, fn, text, title } = HEAD.exec(line)?.groups ?? {};
  if (text === undefined || bus === undefined || device === undefined) return null;
  return {
    text,
    id: (Number.parseInt(bus, 16) << 8) | (Number.parseInt(device, 16) << 3) | Number(fn),
    title: (title ?? '').replace(/ \(prog-if .*$/, ''),
    ...{ group: null, driver: null, ats: null, pri: null, pasid: null, pasidBits: null, sriov: null },
    ...{ virtualFunctions: 0, firstOffset: 0, stride: 0, acs: null },
  };
}

const LINE =
  /^\s*(?:IOMMU group: (?<group>\d{1,6})|Kernel driver in use: (?<driver>\S{1,40})|(?<control>ATS|PRI|PASID|IOV|ACS)Ctl:\s*(?<state>.{1,200})|PASIDCap:.{0,80}Max PASID Width: (?<width>[0-9a-f]{2})|Initial VFs: \d{1,6}, Total VFs: \d{1,6}, Number of VFs: (?<count>\d{1,6})|VF offset: (?<offset>\d{1,6}), stride: (?<stride>\d{1,6}))/;

/** Takes a line of the function. */
export function takeLine(of: PciFunction, line: string): void {
  const groups = LINE.exec(line)?.groups;
  if (groups === undefined) return;
  const { control, count, driver, group, offset, state, stride, width } = groups;
  if (group !== undefined) of.group = Number(group);
  if (driver !== undefined) of.driver = driver;
  if (width !== undefined) of.pasidBits = Number.parseInt(width, 16);
  if (count !== undefined) of.virtualFunctions = Number(count);
  if (offset !== undefined) of.firstOffset = Number(offset);
  if (stride !== undefined) of.stride = Number(stride);
  if (control !== undefined && state !== undefined) takeControl(of, control, state);
}

function takeControl(of: PciFunction, control: string, state: string): void {
  const on = state.startsWith('Enable+');
  if (control === 'ATS') of.ats = on;
  else if (control === 'PRI') of.pri = on;
  else if (control === 'PASID') of.pasid = on;
  else if (control === 'IOV') of.sriov = on;
  else of.acs = Array.from(state.matchAll(/(\w+)\+/g), ([, name]) => name as string);
}

/** Requester id of a virtual function, counted from 0; null where there is none (PCIe, SR-IOV: First VF Offset, VF Stride). */
export function virtualFunctionOf(of: PciFunction, id: number): number | null {
  if (of.sriov !== true || of.virtualFunctions === 0) return null;
  const from = id - of.id - of.firstOffset;
  if (from < 0) return null;
  const n = of.stride === 0 ? (from === 0 ? 0 : -1) : from % of.stride === 0 ? from / of.stride : -1;
  return n >= 0 && n < of.virtualFunctions ? n : null;
}

const stateText = (name: string, state: Switch) => (state === null ? [] : [`${name} ${state ? 'on' : 'off'}`]);

/** What of it is switched, in words; empty where it has nothing of the kind. */
export function switchesText(of: PciFunction): string[] {
  const { ats, pasid, pasidBits, pri, sriov, virtualFunctions } = of;
  const bits = pasid === null || pasidBits === null ? '' : ` (up to ${pasidBits} bits)`;
  const functions =
    virtualFunctions === 0 ? '' : `, ${virtualFunctions} virtual functions from ${bdf(of.id + of.firstOffset)} on`;
  return [
    ...stateText('ATS', ats),
    ...stateText('PRI', pri),
    ...stateText('PASID', pasid).map((text) => text + bits),
    ...stateText('SR-IOV', sriov).map((text) => text + functions),
  ];
}
