/** Lines of Linux at boot that say what firmware's tables of IOMMUs have wrong, and what the kernel does about it (drivers/iommu/intel, drivers/iommu/amd). */

import { suspects } from '../causes.ts';
import type { Finding, Model } from '../finding.ts';
import { hexNumber, NOTHING, pciRequester } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';

interface Complaint {
  readonly id: string;
  readonly model: Model;
  readonly needle: string;
  readonly pattern: RegExp;
  readonly example: string;
  readonly printedBy: string;
  readonly severity?: Finding['severity'];
  says(groups: Groups): string;
}

const range = ({ end, start }: Groups) =>
  `0x${hexNumber(start ?? '')?.toString(16)} to 0x${hexNumber(end ?? '')?.toString(16)}`;

const COMPLAINTS: readonly Complaint[] = [
  {
    id: 'vtd.rmrr-not-reserved',
    model: 'vtd',
    needle: 'No firmware reserved region can cover this RMRR',
    pattern:
      /No firmware reserved region can cover this RMRR\s{0,2}\[(?<start>0x[0-9a-f]{1,16})-(?<end>0x[0-9a-f]{1,16})\]/i,
    example:
      'DMAR: [Firmware Bug]: No firmware reserved region can cover this RMRR [0x00000000bb800000-0x00000000bf9fffff], contact BIOS vendor for fixes',
    printedBy: 'Linux 4.18 and later',
    says: (groups) =>
      `firmware keeps ${range(groups)} for devices (RMRR), and its memory map does not reserve that: the kernel may use it for others`,
  },
  {
    id: 'vtd.rmrr-bad',
    model: 'vtd',
    needle: 'Your BIOS is broken; bad RMRR',
    pattern: /Your BIOS is broken; bad RMRR\s{0,2}\[(?<start>0x[0-9a-f]{1,16})-(?<end>0x[0-9a-f]{1,16})\]/i,
    example: 'DMAR: [Firmware Bug]: Your BIOS is broken; bad RMRR [0x00000000bf7dc000-0x00000000bf7dbfff]',
    printedBy: 'Linux 4.18 and later',
    says: (groups) => `firmware keeps ${range(groups)} for devices (RMRR), which is no range, or is not reserved`,
  },
  {
    id: 'vtd.rmrr-device',
    model: 'vtd',
    needle: 'is broken - applying workaround',
    pattern: /RMRR entry for device (?<device>[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) is broken - applying workaround/,
    example: 'DMAR: [Firmware Bug]: RMRR entry for device 03:00.0 is broken - applying workaround',
    printedBy: 'Linux 3.17 and later',
    severity: 'info',
    says: ({ device }) => `${device}: its RMRR names the wrong function: the kernel mends that`,
  },
  {
    id: 'vtd.unit-broken',
    model: 'vtd',
    needle: 'Your BIOS is broken; DMAR reported at ',
    pattern:
      /Your BIOS is broken; DMAR reported at (?:address )?(?:0x)?(?<address>[0-9a-f]{1,16}|zero address)(?<ones> returns all ones)?/i,
    example: 'DMAR: [Firmware Bug]: Your BIOS is broken; DMAR reported at address fed90000 returns all ones!',
    printedBy: 'Linux 2.6.33 and later',
    severity: 'error',
    says: ({ address, ones }) =>
      ones === undefined
        ? `a unit (DRHD) has the address ${address === '0' || address === 'zero address' ? '0' : `0x${address}`}: all its devices go without it`
        : `the unit (DRHD) at 0x${address} does not answer: all its devices go without it`,
  },
  {
    id: 'vtd.scope-type',
    model: 'vtd',
    needle: 'Device scope type does not match for ',
    pattern: /Device scope type does not match for (?<device>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/,
    example: 'DMAR: Device scope type does not match for 0000:00:1c.0',
    printedBy: 'Linux 2.6.25 and later',
    says: ({ device }) =>
      `${device}: DMAR has it as a bridge where it is none, or the other way round: the entry is left out`,
  },
  {
    id: 'vtd.no-acpi-object',
    model: 'vtd',
    needle: 'DMAR: Failed to find handle for ACPI object ',
    pattern: /DMAR: Failed to find handle for ACPI object (?<object>\S{1,80})/,
    example: 'DMAR: Failed to find handle for ACPI object \\_SB.PCI0.UA00',
    printedBy: 'Linux 3.17 and later',
    severity: 'info',
    says: ({ object }) => `DMAR names a device (ANDD) that ACPI has not: ${object}`,
  },
  {
    id: 'vtd.no-graphics',
    model: 'vtd',
    needle: 'isabling IOMMU for graphics',
    pattern: /isabling IOMMU for graphics/,
    example: 'DMAR: BIOS has allocated no shadow GTT; disabling IOMMU for graphics',
    printedBy: 'Linux 2.6.35 and later',
    severity: 'info',
    says: () => 'the graphics device is not translated: the chipset, or firmware, cannot do it',
  },
  {
    id: 'amdvi.no-ioapic',
    model: 'amdvi',
    needle: '] not in IVRS table',
    pattern: /IOAPIC\[(?<id>\d{1,3})\] not in IVRS table/,
    example: 'AMD-Vi: [Firmware Bug]: : IOAPIC[5] not in IVRS table',
    printedBy: 'Linux 3.7 and later',
    says: ({ id }) => `IVRS does not name IOAPIC ${id}: its interrupts cannot be remapped`,
  },
  {
    id: 'amdvi.no-southbridge',
    model: 'amdvi',
    needle: 'No southbridge IOAPIC found',
    pattern: /No southbridge IOAPIC found/,
    example: 'AMD-Vi: [Firmware Bug]: : No southbridge IOAPIC found',
    printedBy: 'Linux 3.10 and later',
    says: () => 'IVRS does not name the IOAPIC of the chipset: interrupt remapping stays off',
  },
  {
    id: 'amdvi.no-remapping',
    model: 'amdvi',
    needle: 'AMD-Vi: Disabling interrupt remapping',
    pattern: /AMD-Vi: Disabling interrupt remapping/,
    example: 'AMD-Vi: Disabling interrupt remapping',
    printedBy: 'Linux 3.7 and later',
    says: () => 'interrupts are not remapped: devices cannot be assigned safely',
  },
  {
    id: 'amdvi.ivrs-checksum',
    model: 'amdvi',
    needle: 'IVRS invalid checksum',
    pattern: /IVRS invalid checksum/,
    example: 'AMD-Vi: [Firmware Bug]: IVRS invalid checksum',
    printedBy: 'Linux 2.6.28 and later',
    severity: 'error',
    says: () => 'the checksum of IVRS is wrong: no unit is used',
  },
  {
    id: 'amdvi.no-acpi-device',
    model: 'amdvi',
    needle: 'No ACPI device matched UID',
    pattern: /No ACPI device matched UID/,
    example: 'AMD-Vi: [Firmware Bug]: No ACPI device matched UID, but 1 device matched HID',
    printedBy: 'Linux 6.12 and later',
    severity: 'info',
    says: () => 'IVRS names an ACPI device by another UID than ACPI does: the kernel takes the one of its HID',
  },
];

/** What is switched off is a cause of other things; the table is the cause of it. */
export const FIRMWARE_LINES: readonly LineFormat[] = COMPLAINTS.map((of) => ({
  id: of.id,
  needle: of.needle,
  pattern: of.pattern,
  example: of.example,
  printedBy: of.printedBy,
  decode: (groups) => {
    const { device, start } = groups;
    const address = start === undefined ? null : hexNumber(start);
    return {
      ...NOTHING,
      kind: of.id,
      model: of.model,
      severity: of.severity ?? 'warning',
      summary: of.says(groups),
      requester: device === undefined ? null : pciRequester(device),
      address: address === null ? null : { value: address, space: 'physical' },
      causes: suspects({ likely: ['firmware-table'] }),
    };
  },
}));
