/** A device tree as text (dts, or what dtc makes of /proc/device-tree): nodes with the properties that are about IOMMUs. */

/** A cell: a number, or the label of a node. */
export type Cell = number | string;

export interface TreeNode {
  /** `pcie@40000000`. */
  readonly name: string;
  readonly line: number;
  readonly labels: readonly string[];
  /** Cells of those that have some; an empty list for a property without a value, or with strings. */
  readonly properties: Map<string, readonly Cell[]>;
  /** Strings of those that have some. */
  readonly strings: Map<string, string>;
}

/** Properties that are kept. */
const KEPT = new Set([
  ...['phandle', 'linux,phandle', 'iommus', 'iommu-map', 'iommu-map-mask', 'msi-map', '#iommu-cells', 'dma-coherent'],
  ...['dma-noncoherent', 'dma-ranges', 'ats-supported', 'status', 'compatible', 'stream-match-mask', 'pasid-num-bits'],
]);

const OPEN = /^\s*(?<labels>(?:[\w]{1,80}:\s{0,8}){0,4})(?<name>&?[\w,.+@-]{1,80}|\/)\s{0,8}\{/;
const PROPERTY = /^\s*(?<name>[\w,.+?#-]{1,60})\s{0,8}(?:=(?<value>[^;]{0,16000}))?;/;

export class TreeText {
  readonly nodes: TreeNode[] = [];
  private readonly open: TreeNode[] = [];
  /** A property that goes on in the next line. */
  private begun = '';

  take(text: string, line: number): void {
    const whole = this.begun === '' ? text : `${this.begun} ${text.trim()}`;
    this.begun = '';
    if (/^\s*\};?/.test(whole)) {
      this.open.pop();
      return;
    }
    const opened = OPEN.exec(whole)?.groups;
    if (opened !== undefined) {
      const labels = (opened.labels ?? '').split(':').map((label) => label.trim());
      const node: TreeNode = {
        ...{ name: opened.name ?? '', line, labels: labels.filter((label) => label !== '') },
        ...{ properties: new Map(), strings: new Map() },
      };
      this.nodes.push(node);
      this.open.push(node);
      // `name { property; };` on one line is not written by dtc.
      return;
    }
    const current = this.open.at(-1);
    if (current === undefined) return;
    const { name, value } = PROPERTY.exec(whole)?.groups ?? {};
    if (name !== undefined) keep(current, name, value);
    else if (/^\s*[\w,.+?#-]{1,60}\s{0,8}=/.test(whole) && whole.length < MAX_PROPERTY) this.begun = whole;
  }
}

/** Characters of a property that goes over several lines. */
const MAX_PROPERTY = 16_000;

function keep({ properties, strings }: TreeNode, name: string, value: string | undefined): void {
  if (!KEPT.has(name)) return;
  properties.set(name, cellsOf(value ?? ''));
  const text = /"([^"]{0,200})"/.exec(value ?? '')?.[1];
  if (text !== undefined) strings.set(name, text);
}

function cellsOf(value: string): Cell[] {
  return Array.from(value.matchAll(/<([^>]{0,8000})>/g), ([, inside]) => inside ?? '')
    .join(' ')
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => (word.startsWith('&') ? word.slice(1) : Number(word)));
}
