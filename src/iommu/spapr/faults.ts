/** What hypercalls and RTAS calls return, in words. There are no fault records: a device's access that no TCE allows freezes its PE. Clauses: see the README. */
import type { Meanings } from '../../bits/index.ts';

const CLAUSE = 'LoPAR Hypervisor Call Return Code Table';
const code = (name: string, text: string) => ({ name, text, clause: CLAUSE });
const wait = (name: string, time: string) => code(name, `busy for about ${time}: ask again then`);
const parameter = (n: number) => code(`H_P${n}`, `parameter ${n} is not valid`);

/**
 * Return codes of hypercalls; which of them a call has, and why, is in `commands.ts`. Codes that only calls about other things have are left out: 14 to 18,
 * -5, -6, -8, -12 to -15, -63.
 */
export const H_CODES: Meanings = {
  9905: wait('H_LongBusyOrder100s', '100 s'),
  9904: wait('H_LongBusyOrder10s', '10 s'),
  9903: wait('H_LongBusyOrder1s', '1 s'),
  9902: wait('H_LongBusyOrder100ms', '100 ms'),
  9901: wait('H_LongBusyOrder10ms', '10 ms'),
  9900: wait('H_LongBusyOrder1ms', '1 ms'),
  5: code('H_PARTIAL', 'done in part, or the answer is not whole'),
  4: code('H_Constrained', 'done within a limit'),
  3: code('H_NOT_AVAILABLE', 'not available'),
  2: code('H_Closed', 'the other side is closed'),
  1: code('H_Busy', 'busy: ask again'),
  0: code('H_Success', 'done'),
  [-1]: code('H_Hardware', 'the hardware failed'),
  [-2]: code('H_Function', 'there is no such call, or not for this partition'),
  [-3]: code('H_Privilege', 'the caller may not call'),
  [-4]: code('H_Parameter', 'a parameter is not valid'),
  [-7]: code('H_Not_Found', 'what the parameters name does not exist'),
  [-9]: code('H_NOMEM', 'not enough memory'),
  [-10]: code('H_AUTHORITY', 'the caller may not do this to what it names'),
  [-11]: code('H_Permission', 'not permitted'),
  [-16]: code('H_Resource', 'not enough resources'),
  [-44]: code('H_NOT_ENOUGH_RESOURCES', 'not enough resources: memory that the partition may have for I/O is used up'),
  [-46]: code('H_RESCINDED', 'what the LIOBN named was taken back'),
  [-55]: parameter(2),
  [-56]: parameter(3),
  [-57]: parameter(4),
  [-58]: parameter(5),
  [-59]: parameter(6),
  [-60]: parameter(7),
  [-61]: parameter(8),
  [-62]: parameter(9),
  [-64]: code('H_TOO_BIG', 'too large'),
  [-67]: code('H_UNSUPPORTED', 'not supported'),
  [-68]: code('H_OVERLAP', 'overlaps what is there already'),
  [-75]: code('H_STATE', 'not in this state'),
  [-76]: code('H_RESERVED', 'reserved'),
  [-77]: code('H_IN_USE', 'in use'),
};

const RTAS = 'LoPAR DMA Window Manipulation Calls';
const status = (name: string, text: string) => ({ name, text, clause: RTAS });
const delay = (time: string) => status('Extended delay', `busy for about ${time}: call again then`);

/** Status of the calls on DMA windows: an RTAS cell, signed (`cell | 0`). */
export const RTAS_STATUS: Meanings = {
  9905: delay('100 s'),
  9904: delay('10 s'),
  9903: delay('1 s'),
  9902: delay('100 ms'),
  9901: delay('10 ms'),
  9900: delay('1 ms'),
  0: status('Success', 'done'),
  [-1]: status('Hardware error', 'the platform could not'),
  [-2]: status('Busy', 'busy: call again'),
  [-3]: status(
    'Parameter error',
    'a parameter is not valid: the device, the LIOBN, the page size or the size of the window',
  ),
};
