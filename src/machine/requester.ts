import type { Translator } from './translator.ts';

/** A bus-mastering function. */
export interface Requester {
  readonly name: string;
  /** Bus 15:8, device 7:3, function 2:0. */
  readonly sid: number;
  /** Domain that software has put it in. */
  readonly did: number;
  /** PASID of its requests, none if absent: a function that uses several is as many requesters. */
  readonly pasid?: number;
  /** Whether its requests with PASID ask for supervisor privilege (PR of the PASID prefix). */
  readonly privileged?: boolean;
  /** Whether it translates by itself, with a cache (PCI Express ATS, enabled); needs `MachineOptions.atcEntries`. */
  readonly ats?: boolean;
  /**
   * With `ats`: how many page requests it sends for one DMA before it gives up (PRI, enabled), 15 at most; needs `MachineOptions.pageRequests`. If absent,
   * it cannot wait for a page.
   */
  readonly pageRequests?: number;
  /** The IOMMU that it is behind, where a machine has several; that of the machine ({@link Dma.translator}) if absent. */
  readonly translator?: Translator;
}

/** What there is to a requester besides who it is. */
export type RequesterOptions = Omit<Requester, 'name' | 'sid' | 'did'>;

/** `02:00.0` of a source id. */
export function bdf(sid: number): string {
  const two = (n: number) => n.toString(16).padStart(2, '0');
  return `${two(sid >> 8)}:${two((sid >> 3) & 31)}.${sid & 7}`;
}
