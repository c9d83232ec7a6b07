/**
 * Which registers an SMMU has, and where its register file keeps them: those of page 1 at the same offsets of page 0, where they may be seen too
 * (IHI 0070, 6.2), so that 256 bytes hold all.
 */
import { moved } from '../../bits/index.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import { AIDR, IDR0, IDR1, IDR2, IDR3, IDR4, IDR5, IIDR } from './capability-registers.ts';
import * as queues from './queue-registers.ts';
import {
  AGBPA,
  CR0,
  CR0ACK,
  CR1,
  CR2,
  EVENTQ_IRQ_CFG0,
  EVENTQ_IRQ_CFG1,
  EVENTQ_IRQ_CFG2,
  GBPA,
  GERROR,
  GERROR_IRQ_CFG0,
  GERROR_IRQ_CFG1,
  GERROR_IRQ_CFG2,
  GERRORN,
  IRQ_CTRL,
  IRQ_CTRLACK,
  PRIQ_IRQ_CFG0,
  PRIQ_IRQ_CFG1,
  PRIQ_IRQ_CFG2,
  STATUSR,
} from './registers.ts';

/** Byte offset of page 1; both pages together have twice this (6.1). */
export const PAGE_1 = 0x10000;

/** Bytes of the register file. */
export const REGISTER_BYTES = 0x100;

const fold = <R extends { readonly offset: number }>(register: R): R => moved(register, register.offset - PAGE_1);

export const EVENTQ_PROD = fold(queues.EVENTQ_PROD);
export const EVENTQ_CONS = fold(queues.EVENTQ_CONS);
export const PRIQ_PROD = fold(queues.PRIQ_PROD);
export const PRIQ_CONS = fold(queues.PRIQ_CONS);

const ALWAYS = [
  ...[IDR0, IDR1, IDR2, IDR3, IDR4, IDR5, IIDR, AIDR],
  ...[CR0, CR0ACK, CR1, CR2, STATUSR, GBPA, AGBPA, IRQ_CTRL, IRQ_CTRLACK, GERROR, GERRORN],
  ...[queues.STRTAB_BASE, queues.STRTAB_BASE_CFG, queues.CMDQ_BASE, queues.CMDQ_PROD, queues.CMDQ_CONS],
  ...[queues.EVENTQ_BASE, EVENTQ_PROD, EVENTQ_CONS],
];

const OF_MSIS = [
  ...[GERROR_IRQ_CFG0, GERROR_IRQ_CFG1, GERROR_IRQ_CFG2],
  ...[EVENTQ_IRQ_CFG0, EVENTQ_IRQ_CFG1, EVENTQ_IRQ_CFG2],
];

const OF_PAGE_REQUESTS = [queues.PRIQ_BASE, PRIQ_PROD, PRIQ_CONS];
const OF_PAGE_REQUEST_MSIS = [PRIQ_IRQ_CFG0, PRIQ_IRQ_CFG1, PRIQ_IRQ_CFG2];

/** What is left out is RES0: without IDR0.MSI, without IDR0.PRI (6.3.21 – 6.3.36). */
export function registersOf({ idr0 }: SmmuCapabilities): object[] {
  return [
    ...ALWAYS,
    ...(idr0.MSI === 1 ? OF_MSIS : []),
    ...(idr0.PRI === 1 ? OF_PAGE_REQUESTS : []),
    ...(idr0.PRI === 1 && idr0.MSI === 1 ? OF_PAGE_REQUEST_MSIS : []),
  ];
}
