/** QEMU's trace of its AMD-Vi unit (hw/i386/trace-events). Its DMA faults name no device: their events in the guest's log do. */
import type { CauseId } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Space } from '../finding.ts';
import { hexNumber } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';
import type { QemuEvent } from '../qemu-trace.ts';
import { HEX, plainEvent, qemuTraceLines } from '../qemu-trace.ts';
import { missingPage } from '../suspects.ts';

/** An error at an address. */
function atAddress(
  [name, body, example]: readonly [name: string, body: string, example: string],
  summary: string,
  space: Space,
  causes: readonly CauseId[],
): QemuEvent {
  return {
    ...{ name, body, example },
    say: ({ address }) => {
      const value = hexNumber(address ?? '');
      if (value === null) return null;
      return {
        severity: 'error',
        summary: `${summary} 0x${value.toString(16)}`,
        address: { value, space },
        causes: suspects({ likely: causes }),
      };
    },
  };
}

const EVENTS: readonly QemuEvent[] = [
  {
    name: 'amdvi_page_fault',
    body: `error: page fault accessing guest physical address ${HEX('address')}`,
    example: 'error: page fault accessing guest physical address 0xfd200000',
    say: ({ address }) => {
      const value = hexNumber(address ?? '');
      if (value === null) return null;
      return {
        severity: 'error',
        summary: `a DMA access of 0x${value.toString(16)} refused: the page is not mapped, or not for this access`,
        address: { value, space: 'IOVA' },
        causes: missingPage({ access: null, address: value, pasid: null }),
      };
    },
  },
  {
    name: 'amdvi_mode_invalid',
    body: `error: translation level ${HEX('level')} translating addr ${HEX('address')}`,
    example: 'error: translation level 0x7 translating addr 0xfd200000',
    say: ({ address, level }) => {
      const value = hexNumber(address ?? '');
      if (value === null) return null;
      return {
        severity: 'error',
        summary: `a DMA access of 0x${value.toString(16)} refused: the device table entry asks for tables of ${Number(level)} levels`,
        address: { value, space: 'IOVA' },
        causes: suspects({ likely: ['corrupt-entry'] }),
      };
    },
  },
  atAddress(
    ['amdvi_invalid_dte', `PTE entry at ${HEX('address')} is invalid`, 'PTE entry at 0x103f0c000 is invalid '],
    'a device table entry has reserved bits set: that at',
    'physical',
    ['corrupt-entry'],
  ),
  atAddress(
    [
      'amdvi_dte_get_fail',
      `error: failed to access Device Entry devtab ${HEX('address')} offset 0x[0-9a-f]{1,8}`,
      'error: failed to access Device Entry devtab 0x103f0c000 offset 0x400',
    ],
    'a device table entry could not be read: the table is at',
    'physical',
    ['table-unreadable'],
  ),
  atAddress(
    [
      'amdvi_get_pte_hwerror',
      `hardware error eccessing PTE at addr ${HEX('address')}`,
      'hardware error eccessing PTE at addr 0x103f0c000',
    ],
    'a paging entry could not be read: that at',
    'physical',
    ['table-unreadable'],
  ),
  atAddress(
    [
      'amdvi_command_read_fail',
      String.raw`error: fail to access memory at ${HEX('address')} \+ 0x[0-9a-f]{1,8}`,
      'error: fail to access memory at 0x103f0c000 + 0x40',
    ],
    'a command could not be read: the buffer is at',
    'physical',
    ['table-unreadable'],
  ),
  atAddress(
    [
      'amdvi_completion_wait_fail',
      `error: fail to write at address ${HEX('address')}`,
      'error: fail to write at address 0x103f0c000',
    ],
    'the store of a COMPLETION_WAIT failed: whoever waits for it waits for ever: at',
    'physical',
    ['table-unreadable'],
  ),
  atAddress(
    [
      'amdvi_evntlog_fail',
      String.raw`error: fail to write at addr ${HEX('address')} \+  offset 0x[0-9a-f]{1,8}`,
      'error: fail to write at addr 0x103f0c000 +  offset 0x10',
    ],
    'an event could not be written, and is lost: the log is at',
    'physical',
    ['table-unreadable'],
  ),
  plainEvent(
    'amdvi_command_error',
    `error: Executing commands with command buffer disabled ${HEX('status')}`,
    'error: Executing commands with command buffer disabled 0x0',
    {
      severity: 'error',
      summary: 'the command buffer was given commands and is not enabled',
      causes: suspects({ likely: ['descriptor-damaged'] }),
    },
  ),
  {
    name: 'amdvi_unhandled_command',
    body: `unhandled command ${HEX('type')}`,
    example: 'unhandled command 0xb',
    say: ({ type }) => ({
      severity: 'error',
      summary: `a command of code ${type}, which the unit does not know`,
      causes: suspects({ likely: ['descriptor-damaged'] }),
    }),
  },
  ...(['amdvi_ir_err', 'amdvi_ir_target_abort', 'amdvi_err'] as const).map(
    (name): QemuEvent => ({
      name,
      body: String.raw`(?<what>[^\n]{1,120})`,
      example: 'device is not allowed to send interrupts',
      say: ({ what }) => ({
        severity: 'error',
        summary:
          name === 'amdvi_err' ? `the unit refuses something: ${what}` : `an interrupt was not remapped: ${what}`,
        access: name === 'amdvi_err' ? null : 'interrupt',
        causes: name === 'amdvi_err' ? [] : suspects({ likely: ['interrupt-freed', 'interrupt-format'] }),
      }),
    }),
  ),
];

export const QEMU_TRACE_LINES: readonly LineFormat[] = qemuTraceLines('amdvi', 'amdvi_', EVENTS);
