/** SMMUv3 commands (IHI 0070, chapter 4), 128 bits each, little-endian; errors of the command queue (7.1). */
import type { Fields, Layout, Meanings } from '../../bits/index.ts';
import { address, bit, bits, fixed, get, ignored, named, structure } from '../../bits/index.ts';
import { MEMORY_TYPE, SHAREABILITY } from './encodings.ts';

const OPCODE = bits(7, 0);

export const COMMAND_BYTES = 16;

function command<F extends Fields>(name: string, opcode: number, clause: string, fields: F) {
  return structure(name, 128, `SMMUv3 ${clause}`, { OPCODE: fixed(OPCODE, opcode), ...fields });
}

/** The StreamID is one of a Secure stream; only in the Secure queue. */
const SSec = bit(10);
const StreamID = bits(63, 32);
/** SubstreamID counts. */
const SSV = bit(11);
const SubstreamID = bits(31, 12);
const VMID = bits(47, 32);
const ASID = bits(63, 48);

export const CMD_PREFETCH_CONFIG = command('CMD_PREFETCH_CONFIG', 0x01, '4.2.1', { SSec, SSV, SubstreamID, StreamID });

/** Stride and NS are not declared: no readable source has their bits. */
export const CMD_PREFETCH_ADDR = command('CMD_PREFETCH_ADDR', 0x02, '4.2.2', {
  ...{ SSec, SSV, SubstreamID, StreamID },
  Size: bits(68, 64),
  Address: address(127, 76),
});

/** Leaf: the level above has not changed. */
const leaf = { Leaf: bit(64) };

export const CMD_CFGI_STE = command('CMD_CFGI_STE', 0x03, '4.3.1', { SSec, StreamID, ...leaf });

/** 2^(Range + 1) STEs, that of StreamID among them. */
export const CMD_CFGI_STE_RANGE = command('CMD_CFGI_STE_RANGE', 0x04, '4.3.2', { SSec, StreamID, Range: bits(68, 64) });

/** CMD_CFGI_STE_RANGE of all StreamIDs; ignores StreamID. */
export const CMD_CFGI_ALL = command('CMD_CFGI_ALL', 0x04, '4.3.6', {
  SSec,
  IGN_63_32: ignored(63, 32),
  Range: fixed(CMD_CFGI_STE_RANGE.Range, 31),
});

export const CMD_CFGI_CD = command('CMD_CFGI_CD', 0x05, '4.3.3', { SSec, SubstreamID, StreamID, ...leaf });
export const CMD_CFGI_CD_ALL = command('CMD_CFGI_CD_ALL', 0x06, '4.3.4', { SSec, StreamID });
export const CMD_CFGI_VMS_PIDM = command('CMD_CFGI_VMS_PIDM', 0x07, '4.3.5', { SSec, VMID });

/** Of a range, with IDR3.RIL: (NUM + 1) × 2^SCALE granules of TG from Address on, if TG is not 0 (SMMUv3 4.4.1.1). */
const range = {
  NUM: bits(16, 12),
  /** Bit 25 with IDR5.DS. */
  SCALE: bits(25, 20),
  /** Only entries of the last level of a walk. */
  Leaf: bit(64),
  /** Bit 2 of TTL, of VMSAv9-128. */
  TTL128: bit(71),
  /** Level of the leaf; 0: any. A hint where TG is not 0. */
  TTL: named(bits(73, 72), { 0: 'any level', 1: 'level 1', 2: 'level 2', 3: 'level 3' }),
  TG: named(bits(75, 74), { 0: 'one address', 1: '4 KiB', 2: '16 KiB', 3: '64 KiB' }),
};
const va = { ...range, Address: address(127, 76) };
const ipa = { ...range, Address: address(119, 76) };

export const CMD_TLBI_NH_ALL = command('CMD_TLBI_NH_ALL', 0x10, '4.4.2.1', { VMID });
export const CMD_TLBI_NH_ASID = command('CMD_TLBI_NH_ASID', 0x11, '4.4.2.2', { VMID, ASID });
export const CMD_TLBI_NH_VAA = command('CMD_TLBI_NH_VAA', 0x13, '4.4.2.3', { VMID, ...va });
export const CMD_TLBI_NH_VA = command('CMD_TLBI_NH_VA', 0x12, '4.4.2.4', { VMID, ASID, ...va });
export const CMD_TLBI_EL3_ALL = command('CMD_TLBI_EL3_ALL', 0x18, '4.4.2.5', {});
export const CMD_TLBI_EL3_VA = command('CMD_TLBI_EL3_VA', 0x1a, '4.4.2.6', va);
export const CMD_TLBI_EL2_ALL = command('CMD_TLBI_EL2_ALL', 0x20, '4.4.2.7', {});
export const CMD_TLBI_EL2_VA = command('CMD_TLBI_EL2_VA', 0x22, '4.4.2.8', { ASID, ...va });
export const CMD_TLBI_EL2_VAA = command('CMD_TLBI_EL2_VAA', 0x23, '4.4.2.9', va);
export const CMD_TLBI_EL2_ASID = command('CMD_TLBI_EL2_ASID', 0x21, '4.4.2.10', { ASID });
export const CMD_TLBI_S_EL2_ALL = command('CMD_TLBI_S_EL2_ALL', 0x50, '4.4.2.11', {});
export const CMD_TLBI_S_EL2_VA = command('CMD_TLBI_S_EL2_VA', 0x52, '4.4.2.12', { ASID, ...va });
export const CMD_TLBI_S_EL2_VAA = command('CMD_TLBI_S_EL2_VAA', 0x53, '4.4.2.13', va);
export const CMD_TLBI_S_EL2_ASID = command('CMD_TLBI_S_EL2_ASID', 0x51, '4.4.2.14', { ASID });

export const CMD_TLBI_S2_IPA = command('CMD_TLBI_S2_IPA', 0x2a, '4.4.3.1', { VMID, ...ipa });
export const CMD_TLBI_S12_VMALL = command('CMD_TLBI_S12_VMALL', 0x28, '4.4.3.2', { VMID });
/** NS is not declared: no readable source has its bit. */
export const CMD_TLBI_S_S2_IPA = command('CMD_TLBI_S_S2_IPA', 0x5a, '4.4.3.3', { VMID, ...ipa });
export const CMD_TLBI_S_S12_VMALL = command('CMD_TLBI_S_S12_VMALL', 0x58, '4.4.3.4', { VMID });
export const CMD_TLBI_NSNH_ALL = command('CMD_TLBI_NSNH_ALL', 0x30, '4.4.4.1', {});
export const CMD_TLBI_SNH_ALL = command('CMD_TLBI_SNH_ALL', 0x60, '4.4.4.2', {});

/** To a device; complete when a later SYNC is. */
export const CMD_ATC_INV = command('CMD_ATC_INV', 0x40, '4.5.1', {
  /** Of all PASIDs. */
  Global: bit(9),
  ...{ SSV, SubstreamID, StreamID },
  /** log2 of the number of pages of 4 KiB; from 52 on all. */
  Size: bits(69, 64),
  Address: address(127, 76),
});

/** The answer to a page request group. */
export const CMD_PRI_RESP = command('CMD_PRI_RESP', 0x41, '4.5.2', {
  ...{ SSV, SubstreamID, StreamID },
  PRGIndex: bits(72, 64),
  Resp: named(bits(77, 76), { 0: 'ResponseFailure', 1: 'InvalidRequest', 2: 'Success' }),
});

/** What becomes of a stalled transaction. */
export const CMD_RESUME = command('CMD_RESUME', 0x44, '4.7.1', {
  SSec,
  Ac: named(bit(12), { 0: 'terminate', 1: 'retry' }),
  /** With Ac = 0. */
  Ab: named(bit(13), { 0: 'successfully (RAZ/WI)', 1: 'with an abort' }),
  StreamID,
  /** Of the event that reported the stall. */
  STAG: bits(79, 64),
});

export const CMD_STALL_TERM = command('CMD_STALL_TERM', 0x45, '4.7.2', { SSec, StreamID });

/** Complete when all commands before it are. */
export const CMD_SYNC = command('CMD_SYNC', 0x46, '4.7.3', {
  CS: named(bits(13, 12), { 0: 'no signal', 1: 'interrupt', 2: 'event (SEV)' }),
  MSH: named(bits(23, 22), SHAREABILITY),
  MSIAttr: named(bits(27, 24), MEMORY_TYPE),
  MSIData: bits(63, 32),
  /** 0: the interrupt is a wire. */
  MSIAddress: address(119, 66),
});

/** By opcode; what opcode 0x04 is depends on Range, see {@link commandAt}. */
export const COMMANDS: Readonly<Record<number, Layout<Fields>>> = Object.fromEntries(
  [
    ...[CMD_PREFETCH_CONFIG, CMD_PREFETCH_ADDR],
    ...[CMD_CFGI_STE, CMD_CFGI_STE_RANGE, CMD_CFGI_CD, CMD_CFGI_CD_ALL, CMD_CFGI_VMS_PIDM],
    ...[CMD_TLBI_NH_ALL, CMD_TLBI_NH_ASID, CMD_TLBI_NH_VA, CMD_TLBI_NH_VAA, CMD_TLBI_EL3_ALL, CMD_TLBI_EL3_VA],
    ...[CMD_TLBI_EL2_ALL, CMD_TLBI_EL2_ASID, CMD_TLBI_EL2_VA, CMD_TLBI_EL2_VAA],
    ...[CMD_TLBI_S_EL2_ALL, CMD_TLBI_S_EL2_ASID, CMD_TLBI_S_EL2_VA, CMD_TLBI_S_EL2_VAA],
    ...[CMD_TLBI_S12_VMALL, CMD_TLBI_S2_IPA, CMD_TLBI_S_S12_VMALL, CMD_TLBI_S_S2_IPA],
    ...[CMD_TLBI_NSNH_ALL, CMD_TLBI_SNH_ALL, CMD_ATC_INV, CMD_PRI_RESP, CMD_RESUME, CMD_STALL_TERM, CMD_SYNC],
  ].map((of) => [of.OPCODE.fixed, of]),
);

/** Opcodes whose layouts no readable source has: invalidation of the device permission table (SMMUv3 4.6). */
export const UNDECLARED_COMMANDS: Readonly<Record<number, string>> = { 112: 'CMD_DPTI_ALL', 115: 'CMD_DPTI_PA' };

/** What an opcode is called, or null if it is reserved. */
export function commandName(opcode: number): string | null {
  if (opcode >= 0x80 && opcode <= 0x8f) return 'implementation defined';
  return COMMANDS[opcode]?.name ?? UNDECLARED_COMMANDS[opcode] ?? null;
}

/** The declaration of the command at `base`, or null if its opcode has none. */
export function commandAt(halves: ArrayLike<number>, base = 0): Layout<Fields> | null {
  const of = COMMANDS[get(OPCODE, halves, base)] ?? null;
  if (of === CMD_CFGI_STE_RANGE && get(CMD_CFGI_STE_RANGE.Range, halves, base) === 31) return CMD_CFGI_ALL;
  return of;
}

/** CMDQ_CONS.ERR while GERROR.CMDQ_ERR is active: why the queue has stopped, at the command of CMDQ_CONS.RD. */
export const CERROR: Meanings = {
  0: { name: 'CERROR_NONE', text: 'no error', clause: 'SMMUv3 7.1' },
  1: {
    name: 'CERROR_ILL',
    text: 'the command is illegal: an opcode that is reserved or not supported here, parameters that are not valid, or, where that is checked, a reserved field that is not 0',
    clause: 'SMMUv3 7.1',
  },
  2: { name: 'CERROR_ABT', text: 'the command could not be read: external abort', clause: 'SMMUv3 7.1' },
  3: {
    name: 'CERROR_ATC_INV_SYNC',
    text: 'CMD_SYNC: a CMD_ATC_INV before it was not completed by its device in time',
    clause: 'SMMUv3 7.1',
  },
};
