/** `lspci -vv` in a text: its functions, each told once if it has a part of ATS, PRI, PASID or SR-IOV, or is a port that does not isolate. */
import type { Finding } from '../finding.ts';
import { NOTHING, pciRequester } from '../finding.ts';
import type { Facts } from './facts.ts';
import type { PciFunction } from './pci-function.ts';
import { functionOf, switchesText, takeLine } from './pci-function.ts';

export class LspciText {
  private readonly facts: Facts;
  private readonly found: (finding: Finding, line: number) => void;
  private current: PciFunction | null = null;
  private line = 0;

  /** @param found takes what is said of a function, and its line */
  constructor(facts: Facts, found: (finding: Finding, line: number) => void) {
    this.facts = facts;
    this.found = found;
  }

  take(text: string, line: number): void {
    const begun = functionOf(text);
    if (begun !== null) {
      this.finish();
      this.current = begun;
      this.line = line;
    } else if (this.current !== null) takeLine(this.current, text);
  }

  /** The last function is whole. */
  finish(): void {
    const { current } = this;
    this.current = null;
    if (current === null) return;
    this.facts.addFunction(current);
    const finding = findingOf(current);
    if (finding !== null) this.found(finding, this.line);
  }
}

/** Parts of ACS that keep peers apart (PCIe, Access Control Services). */
const ISOLATION = ['SrcValid', 'ReqRedir', 'CmpltRedir', 'UpstreamFwd'];

function findingOf(of: PciFunction): Finding | null {
  const switches = switchesText(of);
  const missing = of.acs === null ? [] : ISOLATION.filter((part) => of.acs?.includes(part) !== true);
  const isOpen = missing.length === ISOLATION.length;
  if (switches.length === 0 && !isOpen) return null;
  const odd = oddities(of);
  const says = [...switches, ...(isOpen ? ['ACS off: what is behind it may reach its peers past the IOMMU'] : [])];
  return {
    ...NOTHING,
    kind: 'pci.function',
    model: 'linux',
    severity: odd.length > 0 ? 'warning' : 'info',
    summary: `${of.text} (${of.title}): ${says.join(', ')}${odd.map((text) => `; ${text}`).join('')}`,
    requester: pciRequester(of.text),
    details: [
      ...(of.group === null ? [] : [['group', `IOMMU group ${of.group}`] as const]),
      ...(of.driver === null ? [] : [['driver', of.driver] as const]),
    ],
  };
}

/** What does not go together. */
function oddities({ ats, pri }: PciFunction): string[] {
  // Page requests are for a device that has translations of its own (PCIe, Page Request Interface).
  return pri === true && ats !== true ? ['PRI without ATS does nothing'] : [];
}
