/** The kernel's command line as logs have it, and as it is given alone. */
import type { Finding } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';
import { adviceOf } from './advice.ts';

/** A command line as a finding: a warning where a parameter does not do what it seems to. */
export function commandLineFinding(commandLine: string): Finding {
  const advice = adviceOf(commandLine);
  const wrong = advice.filter((one) => one.wrong);
  return {
    ...NOTHING,
    kind: 'linux.command-line',
    model: 'linux',
    severity: wrong.length > 0 ? 'warning' : 'info',
    summary: summaryOf(
      advice.map(({ what }) => what),
      wrong.map(({ what }) => what),
    ),
    details: advice.map(({ says, what }) => [what, says]),
  };
}

function summaryOf(all: readonly string[], wrong: readonly string[]): string {
  if (wrong.length > 0)
    return `the kernel's command line: ${wrong.join('; ')} ${wrong.length > 1 ? 'do' : 'does'} not do what it says`;
  return all.length > 0
    ? `the kernel's command line: ${all.join(' ')}`
    : "the kernel's command line says nothing of IOMMUs: defaults hold";
}

export const COMMAND_LINES: readonly LineFormat[] = [
  {
    id: 'linux.command-line',
    needle: 'ommand line: ',
    // Only those that say something of it: every boot has one.
    pattern:
      /(?:Kernel c|\bC)ommand line: (?=.{0,4096}?(?:iom+u|ommu|smmu|intremap|swiotlb|ivrs|noats|disable_ddw|acs_override|dma_debug|early_pci_dma|elfcorehdr=))(?<line>.{0,4096})/i,
    example: 'Kernel command line: BOOT_IMAGE=/vmlinuz-6.12 root=/dev/sda1 ro amd_iommu=pt intel_iommu=on',
    printedBy: 'Linux',
    decode: ({ line }) => commandLineFinding(line ?? ''),
  },
];
