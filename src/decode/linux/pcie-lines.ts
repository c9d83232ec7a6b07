/** Errors of PCI Express (AER) that are of what an IOMMU relies on: bridges that check who sends, and keep functions apart (ACS). */
import { suspects } from '../causes.ts';
import { NOTHING, pciRequester } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';

export const PCIE_LINES: readonly LineFormat[] = [
  {
    id: 'linux.acs-violation',
    needle: '[21] ACSViol',
    pattern: /(?:(?<bridge>[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): (?:AER:)?\s{0,8})?\[21\] ACSViol\b/,
    example: 'pcieport 0000:80:1b.4:    [21] ACSViol                (First)',
    printedBy: 'Linux 2.6.38 and later, of a port with AER',
    decode: ({ bridge }) => ({
      ...{ ...NOTHING, kind: 'linux.acs-violation', model: 'linux', severity: 'error' },
      summary: `${bridge ?? 'a port'} refused a request from below it (ACS): the IOMMU has not seen it`,
      requester: bridge === undefined ? null : pciRequester(bridge),
      details: [
        [
          'how it comes',
          'a requester id of a bus that is not below the port (source validation), or an address that a device had translated before, where the port blocks such (PCI Express 6.12)',
        ],
        ['next', 'the TLP Header lines behind it have the requester id: bits 31:16 of the second word'],
      ],
      causes: suspects({ likely: ['wrong-requester-id'], possible: ['request-type-blocked'] }),
    }),
  },
];
