/** Lines that say how Linux uses its IOMMUs: whether DMA is translated at all, and whether what is unmapped can still be used for a while. */
import type { Finding } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';

const POLICIES = {
  lazy: 'what is unmapped may be used by a device until the next flush (lazy)',
  strict: 'what is unmapped is out of the TLB at once (strict)',
} as const;

const SET = ', as the command line has it';

function mode(id: string, summary: string, set: string | undefined): Finding {
  return {
    ...NOTHING,
    kind: `linux.mode.${id}`,
    model: 'linux',
    severity: 'info',
    summary: `${summary}${set === undefined ? '' : SET}`,
  };
}

export const MODE_LINES: readonly LineFormat[] = [
  {
    id: 'linux.mode.passthrough',
    needle: 'Default domain type: Passthrough',
    pattern: /iommu: Default domain type: Passthrough(?<set> \(set via kernel command line\))?/i,
    example: 'iommu: Default domain type: Passthrough (set via kernel command line)',
    printedBy: 'Linux 5.0 and later',
    decode: ({ set }) => mode('passthrough', 'devices of the host are not translated by default', set),
  },
  {
    id: 'linux.mode.translated',
    needle: 'Default domain type: Translated',
    pattern: /iommu: Default domain type: Translated(?<set> \(set via kernel command line\))?/i,
    example: 'iommu: Default domain type: Translated',
    printedBy: 'Linux 5.0 and later',
    decode: ({ set }) => mode('translated', 'devices of the host are translated by default', set),
  },
  ...(['lazy', 'strict'] as const).map(
    (policy): LineFormat => ({
      id: `linux.mode.${policy}`,
      needle: `DMA domain TLB invalidation policy: ${policy} mode`,
      pattern: new RegExp(
        String.raw`DMA domain TLB invalidation policy: ${policy} mode(?<set> ?\(set via kernel command line\))?`,
      ),
      example: `iommu: DMA domain TLB invalidation policy: ${policy} mode`,
      printedBy: 'Linux 5.14 and later',
      decode: ({ set }) => mode(policy, POLICIES[policy], set),
    }),
  ),
  {
    id: 'linux.mode.opt-in',
    needle: 'force enabled due to platform opt in',
    pattern: /Intel-IOMMU force enabled due to platform opt in/,
    example: 'DMAR: Intel-IOMMU force enabled due to platform opt in',
    printedBy: 'Linux 4.21 and later',
    decode: () =>
      mode(
        'opt-in',
        "firmware asks for DMA protection (DMAR's DMA_CTRL_PLATFORM_OPT_IN): the IOMMU is on although the command line does not say so",
        undefined,
      ),
  },
];
