/**
 * Interrupts as QEMU hands them to the local interrupt controllers. Nothing of these can be read over qtest, as no processor runs; but QEMU traces
 * what its unit makes of a device's interrupt, and what it sends itself. The log is written line by line, while a command is executed.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { messageText } from './platform.ts';

/** Events that are logged. Configuration space is read for the marks only. */
export const TRACED = ['vtd_ir_remap_msi', 'vtd_irq_generate', 'pci_cfg_read'] as const;

/** What is not refused, as it goes on: `vtd_ir_remap_msi (addr 0x…, data 0x…) -> (addr 0x…, data 0x…)`. */
const REMAPPED = /vtd_ir_remap_msi .*-> \(addr 0x([0-9a-f]+), data 0x([0-9a-f]+)\)/;
/** Of the unit itself: `vtd_irq_generate addr 0x… data 0x…`. */
const OWN = /vtd_irq_generate addr 0x([0-9a-f]+) data 0x([0-9a-f]+)/;

export class MessageLog {
  /** Commands that mark in the log how far a program has come: a read of configuration space. */
  static readonly MARK = ['outl 0xcf8 0x80000000', 'inl 0xcfc'] as const;
  private readonly file: number;
  private at = 0;
  private rest = '';
  private readonly buffer = Buffer.alloc(1 << 16);

  /** @param path of QEMU's log, which is there */
  constructor(path: string) {
    this.file = openSync(path, 'r');
  }

  /** What has been logged since the last call. @returns for each mark the messages before it, behind the mark before */
  take(): string[] {
    const taken: string[] = [];
    let messages: string[] = [];
    for (const line of this.lines()) {
      const found = REMAPPED.exec(line) ?? OWN.exec(line);
      if (found !== null) messages.push(messageText(BigInt(`0x${found[1]}`), Number.parseInt(found[2], 16)));
      else if (line.includes('pci_cfg_read')) {
        taken.push(messages.join(' '));
        messages = [];
      }
    }
    return taken;
  }

  close(): void {
    closeSync(this.file);
  }

  private lines(): string[] {
    for (;;) {
      const got = readSync(this.file, this.buffer, 0, this.buffer.length, this.at);
      if (got === 0) break;
      this.at += got;
      this.rest += this.buffer.toString('latin1', 0, got);
    }
    const lines = this.rest.split('\n');
    this.rest = lines.pop() as string;
    return lines;
  }
}
