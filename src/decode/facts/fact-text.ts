/** Finds `lspci -vv` and device trees in text that comes in whole lines, and reads them; any other text is only searched for their signs. */
import type { Finding, Found } from '../finding.ts';
import { NeedleSearch } from '../needle-search.ts';
import { DeviceTreeText } from './device-tree-text.ts';
import { Facts } from './facts.ts';
import { LspciText } from './lspci-text.ts';

const LSPCI = ['ATSCtl:', 'PRICtl:', 'PASIDCtl:', 'IOVCtl:', 'ACSCtl:', 'IOMMU group: '];
const TREE = ['iommu-map = <', 'iommus = <', '#iommu-cells = <'];
const SIGNS = new NeedleSearch([...LSPCI, ...TREE]);

/** Characters of a line that are looked at. */
const MAX_LINE = 16_384;

export class FactText {
  private readonly facts: Facts;
  private readonly lspci: LspciText;
  private readonly tree: DeviceTreeText;
  private input = '-';
  private inLspci = false;
  private inTree = false;

  constructor(emit: (found: Found) => void) {
    this.facts = new Facts(emit);
    const found = (finding: Finding, line: number) => emit({ finding, at: { input: this.input, line, time: null } });
    this.lspci = new LspciText(this.facts, found);
    this.tree = new DeviceTreeText(this.facts, found);
  }

  /** A finding of a line. */
  saw(found: Found): void {
    this.facts.saw(found);
  }

  begin(input: string): void {
    this.input = input;
  }

  /** @param before lines of the input before the text */
  push(text: string, before: number): void {
    for (let at = SIGNS.next(text, 0); at >= 0 && !(this.inLspci && this.inTree); at = SIGNS.next(text, at + 1)) {
      if (SIGNS.found < LSPCI.length) this.inLspci = true;
      else this.inTree = true;
    }
    if (!this.inLspci && !this.inTree) return;
    let line = before;
    for (let from = 0; from < text.length; ) {
      let end = text.indexOf('\n', from);
      if (end < 0) end = text.length;
      line++;
      const one = text.slice(from, Math.min(end, from + MAX_LINE)).replace(/\r$/, '');
      if (this.inLspci) this.lspci.take(one, line);
      if (this.inTree) this.tree.take(one, line);
      from = end + 1;
    }
  }

  end(): void {
    if (this.inLspci) this.lspci.finish();
    if (this.inTree) this.tree.finish();
    this.inLspci = this.inTree = false;
    this.facts.settle();
  }
}
