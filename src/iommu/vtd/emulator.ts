/** A VT-d unit for an emulator or a VMM: register accesses, translations and interrupt messages, everything at once. */
import { EmulatedUnit } from '../kit/emulated-unit.ts';
import { given } from '../kit/given.ts';
import type { GuestBuffer, GuestMemory } from '../kit/guest-memory.ts';
import { guestMemory } from '../kit/guest-memory.ts';
import type { VtdOptions } from './core.ts';
import type { DeviceTlbSink } from './device-tlb.ts';
import type { MessageSink } from './events.ts';
import type { InterruptMessage } from './interrupt-message.ts';
import { Vtd } from './model.ts';
import type { PageGroupResponseSink } from './page-requests.ts';
import { PREFIX, REQUEST } from './request.ts';
import type { TranslationCompletion } from './translation-completion.ts';

export interface VtdEmulatorOptions extends VtdOptions {
  /** Guest memory: tables and queue are read there, wait status is written there. */
  readonly memory: GuestBuffer | GuestMemory;
  /**
   * Takes interrupts as the processors get them: the unit's own (fault event, invalidation completion event) during the access, translation or
   * interrupt that raises them, and those that devices send by {@link VtdEmulator.interrupt}.
   */
  readonly message?: MessageSink;
  /**
   * With ECAP.IR, for who routes interrupts ahead (KVM's irqfd): told that what interrupt indexes mean, so many from `first` on, may be
   * another thing from now on, when the guest invalidates them, sets the table or switches remapping. Ask
   * {@link VtdEmulator.remapInterrupt} again for the routes that are by those.
   */
  readonly interruptEntriesChanged?: (first: number, count: number) => void;
  /**
   * With ECAP.DT: a device-TLB invalidation request (VT-d 6.5.2.5). Returns whether the device has completed it; with false its time runs out
   * (FSTS.ITE). If absent, all are completed.
   */
  readonly invalidateDeviceTlb?: DeviceTlbSink;
  /** With ECAP.PRS: a page group response to a device (VT-d 7.4.1, 7.6.1). Page requests arrive by `unit.pageRequest`. */
  readonly pageGroupResponse?: PageGroupResponseSink;
}

/** Result of {@link VtdEmulator.interrupt} for a write that is none. */
export const NOT_AN_INTERRUPT = 1;

/** The interrupt range, as bits 63:20 of the address. */
const INTERRUPT_RANGE = 0xfee;

/** Kinds of requests; see {@link REQUEST}. */
export type RequestKind = (typeof REQUEST)[keyof typeof REQUEST];

/** No paging-structure caches: reading the tables is as fast. A driver that forgets to invalidate those is found with some. */
const CACHES = { context: 64, iotlbSets: 1024, iotlbWays: 4, pagingStructure: 0, interrupts: 256, interruptSets: 64 };

/** Words for what is in the unit besides caches: its registers most of all, which end below byte 2^15 (CAP.FRO, ECAP.IRO). */
const REGISTER_WORDS = 1 << 14;
const WORDS_PER_ENTRY = 8;

/** Parts of page numbers from here on are beyond every address width, and are folded into 31 bits. */
const FAR = 2 ** 30;

/** Upper parts of frame numbers have 20 bits. */
const FRAME_HI_END = 2 ** 20;

/** Upper part of an address's page number in 31 bits and a sign: exact where bits 63:60 are equal, else beyond every width. */
function pageHi(exact: bigint): number {
  const vpnHi = Number(BigInt.asIntN(64, exact) >> 30n);
  if (vpnHi >= -FAR && vpnHi < FAR) return vpnHi;
  return FAR | (Number(exact >> 30n) % FAR);
}

/**
 * The unit as a guest sees it, with what a guest asks for done when the call returns. Register accesses are of 1 to 8 bytes at any offset. Whatever guests write, to registers, tables or the
 * queue, is answered as VT-d says; nothing of it throws. Options that no hardware could have throw a RangeError with one line.
 */
export class VtdEmulator extends EmulatedUnit<Vtd> {
  private readonly message: MessageSink | undefined;

  constructor(options: VtdEmulatorOptions) {
    const {
      memory: guest,
      message,
      interruptEntriesChanged,
      invalidateDeviceTlb,
      pageGroupResponse,
      ...unit
    } = options;
    const caches = { ...CACHES, ...unit.caches };
    const legacy = caches.context + caches.iotlbSets * caches.iotlbWays + 4 * caches.pagingStructure;
    const entries = (unit.ecap?.SMTS === 1 ? 2 * legacy + caches.context : legacy) + caches.interrupts;
    const memory = guestMemory(guest);
    const sinks = given({ message, interruptEntriesChanged, invalidateDeviceTlb, pageGroupResponse });
    super(
      REGISTER_WORDS + WORDS_PER_ENTRY * entries,
      (arena) => new Vtd({ arena, tables: memory, memory, ...sinks }, { ...unit, caches }),
    );
    this.message = message;
  }

  /**
   * A device's request. It must not cross a 4 KiB page, and holds to the end of that page.
   * @param requester source id: bus 15:8, device 7:3, function 2:0
   * @param iova byte address as the device sends it; a bigint, or a number where that is exact (below 2^53)
   * @param kind {@link REQUEST}.read, .write (a DWORD; interrupts come as these), .longWrite, …
   * @returns the byte address in guest memory, 0 to 2^52 − 1; −{@link FAULT} reason where it is refused, the fault being recorded as VT-d says;
   * −{@link BLOCKED} where it is refused silently. Addresses from 2^53 on, which are passed on only untranslated, are rounded
   */
  translate(requester: number, iova: number | bigint, kind: RequestKind): number {
    const address = typeof iova === 'bigint' ? Number(iova) : iova;
    if (!(address >= 0 && address < 2 ** 53)) return this.translateFar(requester, iova, kind);
    const vpn = Math.floor(address / 4096);
    const vpnHi = Math.floor(vpn / 0x40000);
    const reason = this.translatePage(requester, vpnHi, vpn - vpnHi * 0x40000, kind);
    if (reason !== 0) return -reason;
    return (this.unit.frameHi * 0x100000 + this.unit.frameLo) * 4096 + (address - vpn * 4096);
  }

  /**
   * {@link translate} in integers of at most 31 bits, which never allocates.
   * @param vpnHi bits 61:30 of the address, below 2^30; negative for one whose bits 63:60 are ones, as the upper half of what a first stage
   * translates has them
   * @param vpnLo bits 29:12
   * @returns 0, with the page's number in {@link frameHi} and {@link frameLo}; or a reason
   */
  translatePage(requester: number, vpnHi: number, vpnLo: number, kind: RequestKind): number {
    if (kind <= REQUEST.write) return this.unit.translate(requester & 0xffff, vpnHi, vpnLo, kind);
    return this.unit.request(requester & 0xffff, vpnHi, vpnLo, kind);
  }

  /** What the last translation request was answered; its page is in {@link frameHi} and {@link frameLo}. The object stays the same. */
  get completion(): TranslationCompletion {
    return this.unit.completion;
  }

  /** Page frame number after {@link translatePage}: bits 51:32 of the address. */
  get frameHi(): number {
    return this.unit.frameHi;
  }

  /** Bits 31:12. */
  get frameLo(): number {
    return this.unit.frameLo;
  }

  /**
   * A device's interrupt (MSI, MSI-X, the message of an I/O APIC): a write of one DWORD to 0xFEEx_xxxx. It goes to the option `message` as the
   * processors get it: remapped where the guest has switched that on, else as it is. {@link translate} answers such a write with its own address,
   * whether it is remapped or not: what that leads to is for here.
   * @param requester source id, as with {@link translate}; that of an I/O APIC is what firmware's tables say (VT-d 8.3.1)
   * @returns 0; −{@link INTERRUPT_FAULT} reason where it is refused, the fault being recorded as VT-d says; {@link NOT_AN_INTERRUPT}, and
   * nothing is done, for another address: an ordinary write, though the guest has set it up as an interrupt
   */
  interrupt(requester: number, address: number | bigint, data: number): number {
    const result = this.remapInterrupt(requester, address, data);
    if (result !== 0) return result;
    const { addressHi, addressLo, data: sent } = this.unit.remapped;
    this.message?.(addressHi, addressLo, sent);
    return 0;
  }

  /** As {@link interrupt}, but it goes nowhere: what it becomes is in {@link remapped}. For routes that are set up ahead. */
  remapInterrupt(requester: number, address: number | bigint, data: number): number {
    const at = Number(address);
    if (!Number.isInteger(at) || Math.floor(at / 2 ** 20) !== INTERRUPT_RANGE) return NOT_AN_INTERRUPT;
    const reason = this.unit.interrupt(requester & 0xffff, at, data);
    return reason === 0 ? 0 : -reason;
  }

  /**
   * What the last {@link interrupt} or {@link remapInterrupt} that was not refused became: address, data, and what they say. Always the same object,
   * overwritten by the next.
   */
  get remapped(): InterruptMessage {
    return this.unit.remapped;
  }

  /** An address that is no exact number, or none at all: taken modulo 2^64. */
  private translateFar(requester: number, iova: number | bigint, kind: RequestKind): number {
    const exact = BigInt.asUintN(
      64,
      typeof iova === 'bigint' ? iova : Number.isFinite(iova) ? BigInt(Math.floor(iova)) : -1n,
    );
    const vpnHi = pageHi(exact);
    const reason = this.translatePage(requester, vpnHi, Number((exact >> 12n) & 0x3ffffn), kind);
    return reason === 0 ? this.landed(exact) : -reason;
  }

  /**
   * As {@link translate}, for a request with PASID (ECAP.SMTS).
   * @param pasid 20 bits
   * @param prefix what the PASID prefix asks for besides, see {@link PREFIX}
   */
  translateWithPasid(
    requester: number,
    pasid: number,
    iova: number | bigint,
    kind: RequestKind,
    prefix: number = PREFIX.none,
  ): number {
    const exact = BigInt.asUintN(64, BigInt(iova));
    const vpnLo = Number((exact >> 12n) & 0x3ffffn);
    const reason = this.translatePageWithPasid(requester, pasid, pageHi(exact), vpnLo, kind, prefix);
    return reason === 0 ? this.landed(exact) : -reason;
  }

  /** {@link translateWithPasid} in integers, which never allocates. @param vpnHi bits 61:30 of the address, with its sign: see {@link translatePage} */
  translatePageWithPasid(
    requester: number,
    pasid: number,
    vpnHi: number,
    vpnLo: number,
    kind: RequestKind,
    prefix: number = PREFIX.none,
  ): number {
    return this.unit.requestWithPasid(requester & 0xffff, pasid & 0xfffff, vpnHi, vpnLo, kind, prefix);
  }

  /** Byte address of a request that was not refused; what is passed on as it was may be farther up than any frame. */
  private landed(exact: bigint): number {
    const { frameHi, frameLo } = this.unit;
    if (frameHi < 0 || frameHi >= FRAME_HI_END) return Number(exact);
    return (frameHi * 0x100000 + frameLo) * 4096 + Number(exact & 0xfffn);
  }
}
