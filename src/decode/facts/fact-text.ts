/** Finds `lspci -vv`, device trees, and where a machine woke from sleep, in text that comes in whole lines; any other text is only searched for their signs. */
import type { Finding, Found } from '../finding.ts';
import { NeedleSearch } from '../needle-search.ts';
import { messageOf } from '../text.ts';
import { DeviceTreeText } from './device-tree-text.ts';
import { Facts } from './facts.ts';
import { History } from './history.ts';
import { LspciText } from './lspci-text.ts';

const LSPCI = ['ATSCtl:', 'PRICtl:', 'PASIDCtl:', 'IOVCtl:', 'ACSCtl:', 'IOMMU group: '];
const TREE = ['iommu-map = <', 'iommus = <', '#iommu-cells = <'];
const WOKE = ['PM: suspend exit', 'PM: Waking up from system sleep state'];
const SIGNS = new NeedleSearch([...LSPCI, ...TREE, ...WOKE]);

/** Characters of a line that are looked at. */
const MAX_LINE = 16_384;

export class FactText {
  private readonly facts: Facts;
  private readonly history: History;
  private readonly lspci: LspciText;
  private readonly tree: DeviceTreeText;
  private input = '-';
  private inLspci = false;
  private inTree = false;

  constructor(emit: (found: Found) => void) {
    this.facts = new Facts(emit);
    this.history = new History(emit);
    const found = (finding: Finding, line: number) => emit({ finding, at: { input: this.input, line, time: null } });
    this.lspci = new LspciText(this.facts, found);
    this.tree = new DeviceTreeText(this.facts, found);
  }

  /** A finding of a line. */
  saw(found: Found): void {
    this.facts.saw(found);
    this.history.saw(found);
  }

  begin(input: string): void {
    this.input = input;
    this.history.begin(input);
  }

  /** @param before lines of the input before the text */
  push(text: string, before: number): void {
    // Of the last waking: lines are counted from there on.
    let from = 0;
    let line = before + 1;
    for (let at = SIGNS.next(text, 0); at >= 0; at = SIGNS.next(text, at + 1)) {
      if (SIGNS.found < LSPCI.length) this.inLspci = true;
      else if (SIGNS.found < LSPCI.length + TREE.length) this.inTree = true;
      else if (this.history.minds) {
        for (let end = text.indexOf('\n', from); end >= 0 && end < at; end = text.indexOf('\n', from)) {
          line++;
          from = end + 1;
        }
        this.history.woke({ input: this.input, line, time: messageOf(text.slice(from, at)).time });
      }
    }
    if (this.inLspci || this.inTree) this.takeLines(text, before);
  }

  private takeLines(text: string, before: number): void {
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
