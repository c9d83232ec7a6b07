/** Lines that say that another kernel ran before this one: after a crash, or by kexec. */
import { NOTHING } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';

interface Event {
  readonly id: string;
  readonly needle: string;
  readonly pattern: RegExp;
  readonly example: string;
  readonly printedBy: string;
  readonly says: string;
}

const EVENTS: readonly Event[] = [
  {
    id: 'copied-tables',
    needle: 'trying to copy translation structures',
    pattern: /ranslation (?:is )?already enabled - trying to copy translation structures/,
    example: 'DMAR: Translation already enabled - trying to copy translation structures',
    printedBy: 'Linux 4.2 and later, on Intel; on AMD, 4.14',
    says: 'the unit was on already: the tables of the kernel before are taken over, so that its DMA goes on',
  },
  {
    id: 'copy-failed',
    needle: 'Failed to copy translation tables from previous kernel',
    pattern: /Failed to copy translation tables from previous kernel/,
    example: 'DMAR: Failed to copy translation tables from previous kernel for dmar0',
    printedBy: 'Linux 4.2 and later',
    says: 'the tables of the kernel before could not be taken over: its DMA that is going on faults from now on',
  },
];

export const HISTORY_LINES: readonly LineFormat[] = EVENTS.map(({ example, id, needle, pattern, printedBy, says }) => ({
  ...{ id: `linux.history.${id}`, needle, pattern, example, printedBy },
  decode: () => ({ ...NOTHING, kind: `linux.history.${id}`, model: 'linux', severity: 'info', summary: says }),
}));
