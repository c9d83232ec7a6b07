/**
 * What QEMU's `-trace` prints of one event: `[pid@seconds:]name body`, the body as the `trace-events` files of QEMU's folders have it. Events that say nothing of
 * a fault, an error or a change of configuration are left out; those of maps and unmaps are the trace analysis's (`trace/`).
 */
import type { Finding, Model } from './finding.ts';
import { bdf, hexNumber, NOTHING, pciRequester, type Requester } from './finding.ts';
import type { Groups, LineFormat } from './line-format.ts';

/** What an event says beside its kind and model. @returns null where a number is none that it can have */
export type Say = (groups: Groups) => (Partial<Finding> & Pick<Finding, 'summary' | 'severity'>) | null;

export interface QemuEvent {
  readonly name: string;
  /** Of a regular expression, with named groups. */
  readonly body: string;
  /** A body, as it is printed. */
  readonly example: string;
  readonly say: Say;
}

/** Formats of the events of a unit. @param family how all their names begin */
export function qemuTraceLines(model: Model, family: string, events: readonly QemuEvent[]): LineFormat[] {
  return events.map(({ body, example, name, say }) => {
    const id = `${model}.qemu-trace.${name.replace(family, '').replaceAll('_', '-')}`;
    return {
      id,
      needle: `${name} `,
      pattern: new RegExp(String.raw`(?:^|[\s:])${name} {1,2}${body}`),
      example: `${name} ${example}`,
      printedBy: 'QEMU with -trace',
      decode: (groups: Groups): Finding | null => {
        const said = say(groups);
        return said === null ? null : { ...NOTHING, kind: id, model, ...said };
      },
    };
  });
}

/** An event that only says that something was done, or did not work. */
export function plainEvent(
  name: string,
  body: string,
  example: string,
  said: Pick<Finding, 'summary' | 'severity'> & Partial<Finding>,
): QemuEvent {
  return { name, body, example, say: () => said };
}

export const HEX = (name: string) => `(?<${name}>0x[0-9a-f]{1,16})`;
export const DECIMAL = (name: string) => `(?<${name}>-?\\d{1,20})`;
/** Bus, device and function as QEMU prints them: the function may have two digits. */
export const BDF = (name: string) => String.raw`(?<${name}>[0-9a-f]{2,4}:[0-9a-f]{2}\.[0-9a-f]{1,2})`;

/** The number of a hexadecimal group; null where it has more bits than `width`. */
export function numberIn(groups: Groups, name: string, width = 32): number | null {
  const value = hexNumber(groups[name] ?? '');
  return value === null || value >> BigInt(width) !== 0n ? null : Number(value);
}

/** A requester id as QEMU prints source ids. */
export function requesterOfId(id: number, pasid: number | null = null): Requester | null {
  return pciRequester(bdf(id), pasid);
}

/** `03:00.01` as a requester. */
export function requesterOfText(text: string | undefined): Requester | null {
  return text === undefined
    ? null
    : pciRequester(text.replace(/^00(?=[0-9a-f]{2}:)/, '').replace(/\.0(?=[0-7]$)/, '.'));
}
