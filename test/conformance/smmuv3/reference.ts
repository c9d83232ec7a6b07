/**
 * A second translator, written from the specification by itself and for nothing but being plain: BigInt, no caches, one pass (IHI 0070, 3.4, 5, 7.3, 13;
 * DDI 0487, D8). It knows nothing of the model, nor of its declarations. Non-secure streams, VMSAv8-64.
 * Long because the whole procedure is to be read from top to bottom.
 */

/** What an implementation is: fields of the ID registers by their names. */
export type Make = Readonly<Record<string, number>>;

export const OAS_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52];

/** What a word that is about to be read is: a world that makes tables while they are walked goes by it. */
export interface Role {
  readonly what: 'l1std' | 'ste' | 'l1cd' | 'cd' | 'first' | 'second';
  /** 64-bit words. */
  readonly words: number;
  readonly level?: number;
  readonly granule?: number;
  /** What a descriptor translates. */
  readonly input?: bigint;
  /** Whom it is for: StreamID, and index of the CD. */
  readonly sid?: number;
  readonly index?: number;
}

export interface WorldMemory {
  /** Told before words are read for the first time. */
  need(address: bigint, role: Role): void;
  /** Null where nothing decodes. */
  read(address: bigint): bigint | null;
}

export interface Registers {
  readonly base: bigint;
  readonly log2: number;
  /** 0: linear. */
  readonly split: number;
  readonly e2h: boolean;
}

export interface Request {
  readonly sid: number;
  /** −1: none. */
  readonly ssid: number;
  readonly address: bigint;
  readonly write: boolean;
  readonly read: boolean;
  readonly instruction: boolean;
  readonly privileged: boolean;
}

/** Names of fields as in the event's record. */
export type Fields = Readonly<Record<string, number | bigint>>;

export type Result =
  | {
      readonly address: bigint;
      readonly writes: ReadonlyMap<bigint, bigint>;
      readonly stages: number;
      readonly sizes: number[];
    }
  | {
      readonly event: string;
      readonly fields: Fields;
      readonly stalls: boolean;
      readonly recorded: boolean;
      readonly razwi: boolean;
    }
  | { readonly event: null };

const bits = (value: bigint, hi: number, lo: number): bigint =>
  (value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
const num = (value: bigint, hi: number, lo = hi): number => Number(bits(value, hi, lo));
const align = (value: bigint, log2: number): bigint => (value >> BigInt(log2)) << BigInt(log2);
/** A field of a structure of several words, counted from bit 0 of the first. */
const field = (words: readonly bigint[], hi: number, lo = hi): number => num(words[lo >> 6], hi & 63, lo & 63);

class Refusal {
  readonly event: string | null;
  readonly fields: Record<string, number | bigint>;
  /** Whose S, R and A decide; 0: nobody's. */
  readonly stage: number;

  constructor(event: string | null, fields: Record<string, number | bigint> = {}, stage = 0) {
    this.event = event;
    this.fields = fields;
    this.stage = stage;
  }
}

interface Permissions {
  readonly ur: boolean;
  readonly uw: boolean;
  readonly ux: boolean;
  readonly pr: boolean;
  readonly pw: boolean;
  readonly px: boolean;
}

type Purpose = 0 | 1 | 2;
const OF_CD: Purpose = 0;
const OF_TABLE: Purpose = 1;
const OF_INPUT: Purpose = 2;

export function translate(make: Make, regs: Registers, memory: WorldMemory, request: Request): Result {
  const oas = OAS_BITS[make.OAS];
  const writes = new Map<bigint, bigint>();
  const sizes: number[] = [];
  let ste: bigint[] = [];
  let cd: bigint[] = [];
  let { instruction, privileged } = request;
  instruction = instruction && !request.write;

  const who = () => ({ StreamID: request.sid, SSV: request.ssid < 0 ? 0 : 1, SubstreamID: Math.max(request.ssid, 0) });
  const attributes = () => ({
    PnU: privileged ? 1 : 0,
    InD: instruction ? 1 : 0,
    RnW: request.write ? 0 : 1,
    InputAddr: request.address,
  });

  const read = (address: bigint): bigint | null => writes.get(address) ?? memory.read(address);

  function structure(address: bigint, event: string, role: Role): bigint[] {
    memory.need(address, role);
    const words: bigint[] = [];
    for (let i = 0; i < role.words; i++) {
      const word = read(address + BigInt(8 * i));
      if (word === null) throw new Refusal(event, { ...who(), FetchAddr: address });
      words.push(word);
    }
    return words;
  }

  // ---- 3.3.1, 5.1: the STE

  function findSte(): void {
    const log2 = Math.min(regs.log2, make.SIDSIZE);
    const badStream = () => new Refusal('C_BAD_STREAMID', who());
    if (request.sid >= 2 ** log2) throw badStream();
    let address: bigint;
    if (regs.split === 0) address = align(regs.base, 6 + regs.log2) + BigInt(request.sid) * 64n;
    else {
      const table = align(regs.base, Math.max(6, 3 + regs.log2 - regs.split));
      const at = table + BigInt(request.sid >>> regs.split) * 8n;
      const [l1std] = structure(at, 'F_STE_FETCH', { what: 'l1std', words: 1, sid: request.sid });
      const span = num(l1std, 4, 0);
      if (span === 0 || span > 11 || span > regs.split + 1) throw badStream();
      const index = request.sid % 2 ** regs.split;
      if (index >= 2 ** (span - 1)) throw badStream();
      address = align(bits(l1std, 55, 6) << 6n, 6 + span - 1) + BigInt(index) * 64n;
      if (address >> BigInt(oas) !== 0n) throw new Refusal('F_STE_FETCH', { ...who(), FetchAddr: address });
    }
    ste = structure(address, 'F_STE_FETCH', { what: 'ste', words: 8, sid: request.sid });
    if (isSteIllegal()) throw new Refusal('C_BAD_STE', who());
  }

  const config = () => field(ste, 3, 1);
  const strw = () => (make.S1P === 1 && make.Hyp === 1 && config() === 5 ? field(ste, 95, 94) : 0);
  /** any-EL2: one table, one privilege, no ASID. */
  const isEl2 = () => strw() === 2 && !regs.e2h;

  const granuleSupported = (log2: number) =>
    log2 === 12 ? make.GRAN4K === 1 : log2 === 14 ? make.GRAN16K === 1 : log2 === 16 && make.GRAN64K === 1;
  const tg0 = (code: number) => [12, 16, 14, -1][code];
  const tg1 = (code: number) => [-1, 14, 12, 16][code];
  const addressSize = (code: number) => Math.min([32, 36, 40, 42, 44, 48, 52, 56][code], oas);

  function isSteIllegal(): boolean {
    if (field(ste, 0) === 0) return true;
    if (config() < 4) return false;
    const first = (config() & 1) === 1;
    const second = (config() & 2) === 2;
    if (first && make.S1P === 0) return true;
    if (second && make.S2P === 0) return true;
    const stallModel = make.STALL_MODEL;
    if (make.ATS === 1 && config() !== 4) {
      const [eats, s2s] = [field(ste, 93, 92), field(ste, 185)];
      if (eats === 2 && (config() !== 7 || s2s === 1 || make.NS1ATS === 1)) return true;
      if (eats === 1 && s2s === 1 && second) return true;
    }
    if (strw() % 2 === 1) return true;
    if (first) {
      if (field(ste, 91) === 1 && stallModel !== 0) return true;
      const max = field(ste, 63, 59);
      if (make.SSIDSIZE > 0 && max > make.SSIDSIZE) return true;
      const fmt = field(ste, 5, 4);
      if (make.SSIDSIZE > 0 && max > 0 && make.CD2L === 0 && (fmt === 1 || fmt === 2)) return true;
      if (bits(ste[0], 55, 6) >> BigInt(oas - 6) !== 0n) return true;
    }
    if (second) {
      const s2s = field(ste, 185);
      if (s2s === 1 && stallModel === 1) return true;
      if (s2s === 0 && stallModel === 2) return true;
      if (field(ste, 179) === 0) return true;
      const [hd, ha] = [field(ste, 183), field(ste, 184)];
      if ((ha === 1 || hd === 1) && make.HTTU === 0) return true;
      if (hd === 1 && make.HTTU === 1) return true;
      const granule = tg0(field(ste, 175, 174));
      if (!granuleSupported(granule)) return true;
      const ttb = bits(ste[3], 55, 4) << 4n;
      const range =
        granule === 16 ? addressSize(field(ste, 178, 176)) : Math.min(48, addressSize(field(ste, 178, 176)));
      if (ttb >> BigInt(range) !== 0n) return true;
      const t0sz = field(ste, 165, 160);
      const most = make.STT === 0 ? 39 : granule === 16 ? 47 : 48;
      const least = make.MINOR === 0 ? 64 - oas : Math.max(granule === 16 ? 12 : 16, 64 - oas);
      if (t0sz < least || t0sz > most) return true;
      if (stage2Level() === null) return true;
      const endi = field(ste, 180);
      if ((make.TTENDIAN === 2 && endi === 1) || (make.TTENDIAN === 3 && endi === 0)) return true;
    }
    const vmidCounts = make.S2P === 1 && config() !== 4 && strw() === 0;
    return vmidCounts && make.VMID16 === 0 && field(ste, 143, 128) > 255;
  }

  /** DDI 0487: the level that VTCR_EL2.SL0 says, if T0SZ and granule allow it. */
  function stage2Level(): number | null {
    const granule = tg0(field(ste, 175, 174));
    const sl0 = field(ste, 167, 166);
    const input = 64 - field(ste, 165, 160);
    let level: number;
    if (granule === 12) {
      level = [2, 1, 0, 3][sl0];
      if (sl0 === 2 && oas < 44) return null;
      if (sl0 === 3 && make.STT === 0) return null;
    } else {
      if (sl0 === 3) return null;
      level = 3 - sl0;
      if (granule === 14 && sl0 === 2 && oas < 42) return null;
      if (granule === 16 && sl0 === 2 && oas < 44) return null;
    }
    // So many bits are resolved below the first level; it resolves one at least, and with 16 tables four more than a table has.
    const below = granule + (granule - 3) * (3 - level);
    return input < below + 1 || input > below + (granule - 3) + 4 ? null : level;
  }

  // ---- 5.2: what the STE says of the transaction

  /** @returns index of the CD; −1: stage 1 is bypassed */
  function substream(): number {
    const first = (config() & 1) === 1;
    const max = make.SSIDSIZE === 0 ? 0 : field(ste, 63, 59);
    const dss = field(ste, 65, 64);
    if (request.ssid >= 0) {
      if (!first || max === 0 || request.ssid >= 2 ** max)
        throw new Refusal('C_BAD_SUBSTREAMID', { StreamID: request.sid, SubstreamID: request.ssid });
      if (dss === 2 && request.ssid === 0) throw new Refusal('F_STREAM_DISABLED', { StreamID: request.sid });
      return request.ssid;
    }
    if (!first) return -1;
    if (max === 0 || dss === 2) return 0;
    if (dss === 1) return -1;
    throw new Refusal('F_STREAM_DISABLED', { StreamID: request.sid });
  }

  function override(): void {
    if (make.ATTR_PERMS_OVR === 0) return;
    const [priv, inst] = [field(ste, 113, 112), field(ste, 115, 114)];
    if (priv >= 2) privileged = priv === 3;
    if (inst >= 2 && !request.write) instruction = inst === 3;
  }

  // ---- 3.4, 13.4: walks

  /** A permission fault where an access lacks what it needs; RnW is 1 where reading is what a write that reads lacks (13.1.1). */
  function lacking(p: Permissions, needs: Request): 'none' | 'write' | 'read' {
    const r = needs.privileged ? p.pr : p.ur;
    const w = needs.privileged ? p.pw : p.uw;
    const x = needs.privileged ? p.px : p.ux;
    if (needs.write && !w) return 'write';
    if (needs.instruction) return x ? 'none' : 'read';
    return needs.read && !r ? 'read' : 'none';
  }

  interface Regime {
    readonly stage: 1 | 2;
    readonly granule: number;
    readonly output: number;
    readonly big: boolean;
    readonly affd: boolean;
    readonly ha: boolean;
    readonly hd: boolean;
  }

  const swapBytes = (value: bigint): bigint => {
    let out = 0n;
    for (let i = 0; i < 8; i++) out |= bits(value, 8 * i + 7, 8 * i) << BigInt(56 - 8 * i);
    return out;
  };

  /** A walk of one stage, from its first table on. */
  function walk(
    regime: Regime,
    input: bigint,
    inputBits: number,
    firstLevel: number,
    base: bigint,
    how: {
      /** Where a descriptor is, for reading or for writing it. */
      readonly place: (address: bigint, write: boolean) => bigint;
      readonly refuse: (event: string, fetch: bigint, reads: boolean) => Refusal;
      readonly permissions: (descriptor: bigint, tables: readonly bigint[], writable: boolean | null) => Permissions;
      readonly needs: Request;
      /** May set dirty state. */
      readonly dirties: boolean;
    },
  ): {
    readonly output: bigint;
    readonly size: number;
    readonly descriptor: bigint;
    readonly permissions: Permissions;
  } {
    const { granule, stage } = regime;
    const stride = granule - 3;
    const tables: bigint[] = [];
    let table = align(
      base,
      Math.max(inputBits - (granule + stride * (3 - firstLevel)) + 3, regime.output === 52 ? 6 : 0),
    );
    for (let level = firstLevel; ; level++) {
      const shift = granule + stride * (3 - level);
      const top = level === firstLevel ? inputBits - 1 : shift + stride - 1;
      const at = table + bits(input, top, shift) * 8n;
      const physical = how.place(at, false);
      memory.need(physical, { what: stage === 1 ? 'first' : 'second', words: 1, level, granule, input });
      const raw = read(physical);
      if (raw === null) throw how.refuse('F_WALK_EABT', physical, true);
      const descriptor = regime.big ? swapBytes(raw) : raw;
      const kind = num(descriptor, 1, 0);
      if ((kind & 1) === 0) throw how.refuse('F_TRANSLATION', physical, true);
      const isTable = kind === 3 && level < 3;
      if (!isTable && kind === 1) {
        const hasBlocks =
          granule === 12 ? level === 1 || level === 2 : level === 2 || (granule === 16 && level === 1 && oas === 52);
        if (!hasBlocks) throw how.refuse('F_TRANSLATION', physical, true);
      }
      let output = bits(descriptor, 47, granule) << BigInt(granule);
      if (!isTable) output = align(output, shift);
      if (granule === 16 && oas === 52) output |= bits(descriptor, 15, 12) << 48n;
      if (output >> BigInt(regime.output) !== 0n) throw how.refuse('F_ADDR_SIZE', physical, true);
      if (isTable) {
        tables.push(descriptor);
        table = output;
        continue;
      }
      let next = descriptor;
      if (num(descriptor, 10) === 0) {
        if (regime.ha) next |= 1n << 10n;
        else if (!regime.affd) throw how.refuse('F_ACCESS', physical, true);
      }
      const managed = regime.hd && num(descriptor, 51) === 1;
      const permissions = how.permissions(descriptor, tables, managed ? true : null);
      const lacks = lacking(permissions, how.needs);
      if (lacks !== 'none') throw how.refuse('F_PERMISSION', physical, lacks === 'read');
      if (managed && how.dirties && how.needs.write) next = stage === 1 ? next & ~(1n << 7n) : next | (1n << 7n);
      if (next !== descriptor) writes.set(how.place(at, true), regime.big ? swapBytes(next) : next);
      sizes.push(shift);
      return { output: output | bits(input, shift - 1, 0), size: shift, descriptor, permissions };
    }
  }

  const access = (over: Partial<Request>): Request => ({
    ...{ ...request, read: true, write: false, instruction: false, privileged: false },
    ...over,
  });

  /** Stage 2 of an IPA. @param fetch what is done there: reading, or writing a descriptor; null: the transaction itself */
  function second(ipa: bigint, purpose: Purpose, fetch: 'read' | 'write' | null): bigint {
    if ((config() & 2) === 0) return ipa;
    const stalls = field(ste, 185);
    const needs =
      fetch === null ? access({ ...request, instruction, privileged }) : access({ write: fetch === 'write' });
    const refuse = (event: string, physical: bigint, reads: boolean) =>
      new Refusal(
        event,
        {
          ...{ ...who(), ...attributes(), S2: 1, CLASS: purpose },
          ...(event === 'F_PERMISSION' && purpose === OF_INPUT && request.write && reads ? { RnW: 1 } : {}),
          ...(event === 'F_WALK_EABT' ? { FetchAddr: physical } : { IPA: align(ipa, 12), Stall: stalls }),
          ...(event === 'F_PERMISSION' && purpose === OF_TABLE ? { TTRnW: fetch === 'write' ? 0 : 1 } : {}),
        },
        2,
      );
    const inputBits = 64 - field(ste, 165, 160);
    if (ipa >> BigInt(inputBits) !== 0n) throw refuse('F_TRANSLATION', 0n, true);
    const ha = field(ste, 184) === 1;
    const regime: Regime = {
      stage: 2,
      granule: tg0(field(ste, 175, 174)),
      output: addressSize(field(ste, 178, 176)),
      big: field(ste, 180) === 1,
      affd: field(ste, 181) === 1,
      ha,
      hd: ha && field(ste, 183) === 1,
    };
    const permissions = (d: bigint, _: readonly bigint[], writable: boolean | null): Permissions => {
      const [r, w] = [num(d, 6) === 1, writable ?? num(d, 7) === 1];
      // XN: 0 all, 1 EL0 alone, 2 nobody, 3 EL1 alone; without XNX bit 53 is not looked at.
      const xn = make.XNX === 1 ? num(d, 54, 53) : num(d, 54) * 2;
      return { ur: r, uw: w, pr: r, pw: w, ux: xn === 0 || xn === 1, px: xn === 0 || xn === 3 };
    };
    const base = bits(ste[3], 51, 4) << 4n;
    const leaf = walk(regime, ipa, inputBits, stage2Level() as number, base, {
      place: (address) => address,
      refuse,
      permissions,
      needs,
      dirties: true,
    });
    const memAttr = num(leaf.descriptor, 5, 2);
    const device = make.FWB === 1 && field(ste, 89) === 1 ? (memAttr & 4) === 0 : memAttr >> 2 === 0;
    if (purpose !== OF_INPUT && device && field(ste, 182) === 1) throw refuse('F_PERMISSION', 0n, fetch === 'read');
    return leaf.output;
  }

  /** Stage 1 of the transaction's address. */
  function first(): bigint {
    const va = request.address;
    const el2 = isEl2();
    const upper = !el2 && num(va, 55) === 1;
    const stalls = field(cd, 44);
    const refuse = (event: string, physical: bigint, reads: boolean) =>
      new Refusal(
        event,
        {
          ...{ ...who(), ...attributes(), S2: 0, CLASS: event === 'F_WALK_EABT' ? OF_TABLE : OF_INPUT },
          ...(event === 'F_PERMISSION' && request.write && reads ? { RnW: 1 } : {}),
          ...(event === 'F_WALK_EABT' ? { FetchAddr: physical } : { Stall: stalls }),
        },
        1,
      );
    const tbi = field(cd, upper ? 39 : 38) === 1;
    if (!el2 && field(cd, upper ? 30 : 14) === 1) throw refuse('F_TRANSLATION', 0n, true);
    const inputBits = 64 - (upper ? field(cd, 21, 16) : field(cd, 5, 0));
    const addrTop = tbi ? 55 : 63;
    const above = bits(va, addrTop, inputBits);
    const ones = (1n << BigInt(addrTop - inputBits + 1)) - 1n;
    if (above !== (upper ? ones : 0n)) throw refuse('F_TRANSLATION', 0n, true);
    if (!el2 && make.E0PD === 1 && field(cd, upper ? 130 : 66) === 1 && !privileged)
      throw refuse('F_TRANSLATION', 0n, true);
    const granule = upper ? tg1(field(cd, 23, 22)) : tg0(field(cd, 7, 6));
    const ha = field(cd, 43) === 1;
    const regime: Regime = {
      stage: 1,
      granule,
      output: addressSize(field(cd, 34, 32)),
      big: field(cd, 15) === 1,
      affd: field(cd, 35) === 1,
      ha,
      hd: ha && field(cd, 42) === 1,
    };
    const level = 3 - Math.floor((inputBits - 1 - granule) / (granule - 3));
    const hierarchy = !(make.HAD === 1 && field(cd, upper ? 129 : 65) === 1);
    const table = bits(cd[upper ? 2 : 1], 51, 4) << 4n;
    const leaf = walk(regime, va, inputBits, level, table, {
      place: (address, write) => second(address, OF_TABLE, write ? 'write' : 'read'),
      refuse,
      permissions: (d, tables, writable) => stage1Permissions(d, hierarchy ? tables : [], writable, el2),
      needs: access({ ...request, instruction, privileged }),
      dirties: true,
    });
    return leaf.output;
  }

  function stage1Permissions(
    d: bigint,
    tables: readonly bigint[],
    writable: boolean | null,
    el2: boolean,
  ): Permissions {
    const some = (bit: number) => tables.some((table) => num(table, bit) === 1);
    const readOnly = (writable === null ? num(d, 7) === 1 : !writable) || some(62);
    const wxn = field(cd, 36) === 1;
    if (el2) {
      const w = !readOnly;
      const x = num(d, 54) === 0 && !some(60) && !(wxn && w);
      return { ur: true, uw: w, ux: x, pr: true, pw: w, px: x };
    }
    const user = num(d, 6) === 1 && !some(61);
    const uw = user && !readOnly;
    const ux = num(d, 54) === 0 && !some(60);
    let [pr, pw] = [true, !readOnly];
    const px = num(d, 53) === 0 && !some(59) && !uw;
    const pan = field(cd, 40) === 1 && (user || (make.EPAN === 1 && field(cd, 123) === 1 && ux));
    if (pan) [pr, pw] = [false, false];
    return { ur: user, uw, ux: ux && !(wxn && uw), pr, pw, px: px && !(wxn && pw) };
  }

  // ---- 5.3, 5.4: the CD

  function findCd(index: number): void {
    const max = make.SSIDSIZE === 0 ? 0 : field(ste, 63, 59);
    const fmt = max === 0 ? 0 : field(ste, 5, 4) % 3;
    const pointer = bits(ste[0], 55, 6) << 6n;
    let address: bigint;
    if (fmt === 0) address = align(pointer, 6 + max) + BigInt(index) * 64n;
    else {
      const split = fmt === 1 ? 6 : 10;
      const table = align(pointer, Math.max(6, 3 + max - split));
      const at = second(table + BigInt(index >>> split) * 8n, OF_CD, 'read');
      const [l1cd] = structure(at, 'F_CD_FETCH', { what: 'l1cd', words: 1, sid: request.sid });
      const next = bits(l1cd, 55, 12) << 12n;
      if (num(l1cd, 0) === 0 || next >> BigInt(oas) !== 0n)
        throw new Refusal('C_BAD_SUBSTREAMID', { StreamID: request.sid, SubstreamID: index });
      address = next + BigInt(index % 2 ** split) * 64n;
    }
    cd = structure(second(address, OF_CD, 'read'), 'F_CD_FETCH', { what: 'cd', words: 8, sid: request.sid, index });
    if (isCdIllegal()) throw new Refusal('C_BAD_CD', who());
  }

  function isCdIllegal(): boolean {
    if (field(cd, 31) === 0) return true;
    const [s, a] = [field(cd, 44), field(cd, 46)];
    if (field(ste, 91) === 1 && s === 1) return true;
    if (make.TERM_MODEL === 1 && a === 0) return true;
    if (make.STALL_MODEL === 1 && s === 1) return true;
    if (make.STALL_MODEL === 2 && s === 0) return true;
    const el2 = isEl2();
    const uses0 = el2 || field(cd, 14) === 0;
    const uses1 = !el2 && field(cd, 30) === 0;
    const endi = field(cd, 15);
    if ((uses0 || uses1) && ((make.TTENDIAN === 2 && endi === 1) || (make.TTENDIAN === 3 && endi === 0))) return true;
    if (field(cd, 41) === 0) return true;
    const [hd, ha] = [field(cd, 42), field(cd, 43)];
    if ((ha === 1 || hd === 1) && make.HTTU === 0) return true;
    if (hd === 1 && make.HTTU === 1) return true;
    if (!el2 && make.ASID16 === 0 && field(cd, 63, 48) > 255) return true;
    const isBad = (size: number, granule: number, ttb: bigint) => {
      if (!granuleSupported(granule)) return true;
      const most = make.STT === 0 ? 39 : granule === 16 ? 47 : 48;
      const least = make.VAX === 1 && granule === 16 ? 12 : 16;
      if (size < least || size > most) return true;
      const range = granule === 16 ? addressSize(field(cd, 34, 32)) : Math.min(48, addressSize(field(cd, 34, 32)));
      return ttb >> BigInt(range) !== 0n;
    };
    if (uses0 && isBad(field(cd, 5, 0), tg0(field(cd, 7, 6)), bits(cd[1], 55, 4) << 4n)) return true;
    return uses1 && isBad(field(cd, 21, 16), tg1(field(cd, 23, 22)), bits(cd[2], 55, 4) << 4n);
  }

  // ---- 3.3.2: all of it

  function run(): bigint {
    findSte();
    if (config() < 4) throw new Refusal(null);
    const index = substream();
    override();
    if (index < 0) {
      if (request.address >> BigInt(oas) !== 0n)
        throw new Refusal('F_ADDR_SIZE', { ...who(), ...attributes(), S2: 0, CLASS: OF_INPUT, Stall: 0 });
      return second(request.address, OF_INPUT, null);
    }
    findCd(index);
    return second(first(), OF_INPUT, null);
  }

  try {
    const address = run();
    return { address, writes, stages: config() & 3, sizes };
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    const { event, fields, stage } = refusal;
    if (event === null) return { event };
    // 5.5: four faults are as the CD or the STE says, of stage 2 without A.
    const related = stage > 0 && ['F_TRANSLATION', 'F_ADDR_SIZE', 'F_ACCESS', 'F_PERMISSION'].includes(event);
    const stalls = related && field(stage === 1 ? cd : ste, stage === 1 ? 44 : 185) === 1;
    const recorded = !related || stalls || field(stage === 1 ? cd : ste, stage === 1 ? 45 : 186) === 1;
    const razwi = related && !stalls && stage === 1 && field(cd, 46) === 0;
    return { event, fields, stalls, recorded, razwi };
  }
}
