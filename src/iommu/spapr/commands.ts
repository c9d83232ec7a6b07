/** Calls by which a pSeries guest manages TCEs and DMA windows. Clauses: titles of LoPAR's sections; see the README. */
import type { Fields, Layout, Meaning } from '../../bits/index.ts';
import { CREATE_WINDOW, QUERY_WINDOW, QUERY_WINDOW_64 } from './structures.ts';

export interface Hypercall extends Meaning {
  readonly args: readonly string[];
  /** What a return code means of this call; `H_CODES` has the codes themselves. */
  readonly returns: Readonly<Record<number, string>>;
}

const SUCCESS = 'done';
const RESCINDED = 'the window that the LIOBN named was taken back';
const HARDWARE = 'the hardware failed';

/** Most TCEs that one call sets. */
export const MOST_TCES = 512;

/** By number. Each TCE that is set stands before the call returns; that no device uses the old one is the platform's duty, too. */
export const HYPERCALLS: Readonly<Record<number, Hypercall>> = {
  28: {
    name: 'H_GET_TCE',
    text: 'reads a TCE',
    clause: 'LoPAR H_GET_TCE',
    args: ['LIOBN', 'IOBA'],
    returns: {
      0: SUCCESS,
      5: 'the page is not one of the caller: the TCE is given with all ones for its number',
      [-4]: 'the LIOBN is not one of the caller, or the IOBA is outside its window',
      [-46]: RESCINDED,
      [-1]: HARDWARE,
    },
  },
  32: {
    name: 'H_PUT_TCE',
    text: 'sets a TCE',
    clause: 'LoPAR H_PUT_TCE',
    args: ['LIOBN', 'IOBA', 'TCE'],
    returns: {
      0: SUCCESS,
      [-4]: 'the LIOBN is not one of the caller, the IOBA is outside its window, or the TCE leads to a page that the caller does not have',
      [-46]: RESCINDED,
      [-1]: HARDWARE,
    },
  },
  312: {
    name: 'H_STUFF_TCE',
    text: 'sets up to 512 TCEs to one value',
    clause: 'LoPAR H_STUFF_TCE',
    args: ['LIOBN', 'IOBA', 'TCE', 'count'],
    returns: {
      0: SUCCESS,
      [-4]: 'the LIOBN is not one of the caller, the range is not inside its window, or the TCE leads to a page that the caller does not have',
      [-57]: 'more than 512 TCEs',
      [-46]: RESCINDED,
      [-1]: HARDWARE,
    },
  },
  316: {
    name: 'H_PUT_TCE_INDIRECT',
    text: 'sets up to 512 TCEs from a page of them, which is copied first',
    clause: 'LoPAR H_PUT_TCE_INDIRECT',
    args: ['LIOBN', 'IOBA', 'list', 'count'],
    returns: {
      0: SUCCESS,
      [-4]: 'the LIOBN is not one of the caller, the range is not inside its window, the list is no page of the caller, more than 512 TCEs, or one leads to a page that the caller does not have',
      [-46]: RESCINDED,
      [-2]: 'a negative LIOBN (several tables at once), which the partition is not enabled for',
      [-1]: HARDWARE,
    },
  },
};

/** A call to firmware: a token from the device tree, inputs, outputs. */
export interface RtasCall extends Meaning {
  readonly inputs: readonly string[];
  /** The outputs that it may have, by their number; status alone where there is none. */
  readonly outputs: Readonly<Record<number, Layout<Fields> | null>>;
  /** Status codes that it has, extended delays left out; `RTAS_STATUS` says what they mean. */
  readonly statuses: readonly number[];
}

const CLAUSE = 'LoPAR DMA Window Manipulation Calls';
const PE = ['config_addr', 'PHB_Unit_ID_Hi', 'PHB_Unit_ID_Low'] as const;

/** By name. Linux's messages have `-windows` in the name of the query. */
export const RTAS_CALLS: Readonly<Record<string, RtasCall>> = {
  'ibm,query-pe-dma-window': {
    name: 'ibm,query-pe-dma-window',
    text: 'asks what windows a device can have',
    clause: CLAUSE,
    inputs: PE,
    outputs: { 5: QUERY_WINDOW, 6: QUERY_WINDOW_64 },
    statuses: [0, -1, -3],
  },
  'ibm,create-pe-dma-window': {
    name: 'ibm,create-pe-dma-window',
    text: 'makes a window, in which no page is mapped',
    clause: CLAUSE,
    inputs: [...PE, 'log2 of the page size', 'log2 of the window size'],
    outputs: { 4: CREATE_WINDOW },
    statuses: [0, -1, -2, -3],
  },
  'ibm,remove-pe-dma-window': {
    name: 'ibm,remove-pe-dma-window',
    text: 'removes a window',
    clause: CLAUSE,
    inputs: ['LIOBN'],
    outputs: { 1: null },
    statuses: [0, -1, -3],
  },
  'ibm,reset-pe-dma-windows': {
    name: 'ibm,reset-pe-dma-windows',
    text: 'removes the windows that were made, and brings the default window back',
    clause: CLAUSE,
    inputs: PE,
    outputs: { 1: null },
    statuses: [0, -1, -2, -3],
  },
};
