/** debugfs `devtbl` of AMD: the device table entry of the device that `devid` names. */
import { AMD_DTE } from '../../amdvi/kinds.ts';
import type { Detail } from '../../finding.ts';
import { hexNumber, NOTHING, pciRequester } from '../../finding.ts';
import type { LineFormat } from '../../line-format.ts';
import type { Opener, Section } from '../../section.ts';
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, decodeStructure, fieldOf } from '../../structure.ts';

/** The highest word stands first. */
const ROW =
  /(?:^|\s)((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\s+([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16})\s+(iommu\d{1,4})\s*$/i;

const open: Opener = (_, tables): Section => {
  const rows: { device: string; unit: string; dte: DecodedStructure }[] = [];
  return {
    take(line) {
      const [, device, q3, q2, q1, q0, unit] = ROW.exec(line) ?? [];
      if (device === undefined) return line.trim() === '';
      const words = [q0, q1, q2, q3].map((text) => hexNumber(text as string) as bigint);
      rows.push({ device, unit: unit as string, dte: decodeStructure(AMD_DTE, words) });
      return true;
    },
    close() {
      for (const { device, dte } of rows) tables?.deviceEntries.set(device, dte);
      if (rows.length === 0) {
        const summary = 'device table: no entry follows';
        return [{ ...NOTHING, kind: 'amdvi.device-entry', model: 'amdvi', severity: 'info', summary }];
      }
      return rows.map(({ device, dte, unit }) => {
        const details: Detail[] = [
          ['what it says', `${requestsText(dte)}; ${interruptsText(dte)}`],
          ...dte.reserved.map((run) => ['reserved', `bits ${bitsText(run)} are reserved, and set`] as const),
        ];
        return {
          ...NOTHING,
          kind: 'amdvi.device-entry',
          model: 'amdvi',
          severity: dte.reserved.length > 0 ? 'warning' : 'info',
          summary: `device table entry of ${device}, ${unit}`,
          requester: pciRequester(device),
          details,
          structures: [dte],
        } as const;
      });
    },
  };
};

/** AMD-Vi 2.2.2.1: which requests for memory pass, and by what they are translated. */
function requestsText(dte: DecodedStructure): string {
  const is = (name: string) => fieldOf(dte, name) === 1n;
  if (!is('V')) return 'requests pass as they are (V = 0)';
  const rights = is('IR') ? (is('IW') ? 'reads and writes' : 'reads') : is('IW') ? 'writes' : 'no request';
  const mode = is('TV') ? fieldOf(dte, 'Mode') : 0n;
  const guest = is('TV') && is('GV');
  if (rights === 'no request') return 'no request for memory passes (IR = IW = 0)';
  const by = [
    guest ? `guest tables${is('GIoV') ? '' : ', with a PASID'}` : null,
    mode > 0n ? `host tables of ${mode} levels` : null,
  ].filter((part) => part !== null);
  return `${rights} pass, ${by.length === 0 ? 'not translated' : `by ${by.join(' and ')}`}`;
}

function interruptsText(dte: DecodedStructure): string {
  if (fieldOf(dte, 'IV') === 0n) return 'interrupts pass as they are (IV = 0)';
  const table = `table of ${2n ** fieldOf(dte, 'IntTabLen')} entries`;
  return [
    'interrupts are refused',
    'interrupts pass as they are',
    `interrupts are remapped by a ${table}`,
    'IntCtl is reserved',
  ][Number(fieldOf(dte, 'IntCtl'))] as string;
}

export const AMD_DEVICE_TABLE_DUMP: LineFormat = {
  id: 'amdvi.device-entry',
  needle: 'DeviceId ',
  pattern: /DeviceId\s+QWORD\[3\]\s+QWORD\[2\]\s+QWORD\[1\]\s+QWORD\[0\]\s+iommu/,
  example: 'DeviceId             QWORD[3]         QWORD[2]         QWORD[1]         QWORD[0] iommu',
  printedBy: 'Linux 6.17 and later, debugfs iommu/amd/devtbl',
  section: open,
};
