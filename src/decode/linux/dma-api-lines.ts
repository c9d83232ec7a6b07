/** Lines of Linux's DMA API debugging (CONFIG_DMA_API_DEBUG, kernel/dma/debug.c): what a driver does wrong with its mappings. */
import type { CauseId } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { DEVICE, requesterOf } from './device.ts';

/** A misuse: its text in the log, in our words, and an example of what the line gives with it. */
interface Misuse {
  readonly id: string;
  readonly text: string;
  readonly meaning: string;
  readonly cause: CauseId;
  /** What stands behind the text. */
  readonly with: string;
}

const ADDRESS = '[device address=0x00000000fffbc000] [size=2047 bytes]';

const MISUSES: readonly Misuse[] = [
  {
    id: 'free-unmapped',
    text: 'device driver tries to free DMA memory it has not allocated',
    meaning: 'unmaps what is not mapped, or no longer',
    cause: 'unmap-mismatch',
    with: ADDRESS,
  },
  {
    id: 'free-size',
    text: 'device driver frees DMA memory with different size',
    meaning: 'unmaps with another size than it mapped',
    cause: 'unmap-mismatch',
    with: '[device address=0x00000006198b0000] [map size=32784 bytes] [unmap size=8208 bytes]',
  },
  {
    id: 'free-function',
    text: 'device driver frees DMA memory with wrong function',
    meaning: 'unmaps with a function of another kind than it mapped with',
    cause: 'unmap-mismatch',
    with: '[device address=0x00000000640444be] [size=66 bytes] [mapped as single] [unmapped as page]',
  },
  {
    id: 'free-cpu-address',
    text: 'device driver frees DMA memory with different CPU address',
    meaning: 'frees coherent memory with another CPU address than it was given',
    cause: 'unmap-mismatch',
    with: `${ADDRESS} [cpu alloc address=0x0000000012345000] [cpu free address=0x0000000012346000]`,
  },
  {
    id: 'free-entries',
    text: 'device driver frees DMA sg list with different entry count',
    meaning: 'unmaps a scatterlist with another number of entries than it mapped',
    cause: 'unmap-mismatch',
    with: '[map count=4] [unmap count=1]',
  },
  {
    id: 'free-direction',
    text: 'device driver frees DMA memory with different direction',
    meaning: 'unmaps for another direction than it mapped for',
    cause: 'unmap-mismatch',
    with: `${ADDRESS} [mapped with DMA_TO_DEVICE] [unmapped with DMA_FROM_DEVICE]`,
  },
  {
    id: 'unchecked',
    text: 'device driver failed to check map error',
    meaning: 'used a mapping without asking whether it had failed',
    cause: 'map-unchecked',
    with: '[device address=0x00000000f3ad7000] [size=639 bytes] [mapped as single]',
  },
  {
    id: 'stack',
    text: 'device driver maps memory from stack',
    meaning: 'maps a buffer on the stack',
    cause: 'bad-buffer',
    with: '[addr=00000000a9f1d2c1]',
  },
  {
    id: 'text',
    text: 'device driver maps memory from kernel text or rodata',
    meaning: "maps the kernel's text, or read-only data",
    cause: 'bad-buffer',
    with: '[addr=0000000048cc5e2f] [len=131072]',
  },
  {
    id: 'vmalloc',
    text: 'device driver maps memory from vmalloc area',
    meaning: 'maps memory of vmalloc() as if it were one piece',
    cause: 'bad-buffer',
    with: '[addr=00000000b1c2d3e4] [len=4096]',
  },
  {
    id: 'invalid-address',
    text: 'device driver maps invalid address',
    meaning: 'maps an address that is none of memory',
    cause: 'bad-buffer',
    with: '[addr=00000000b1c2d3e4] [len=4096]',
  },
  {
    id: 'sync-unmapped',
    text: 'device driver tries to sync DMA memory it has not allocated',
    meaning: 'syncs what is not mapped',
    cause: 'unmap-mismatch',
    with: ADDRESS,
  },
  {
    id: 'sync-range',
    text: 'device driver syncs DMA memory outside allocated range',
    meaning: 'syncs beyond the end of a mapping',
    cause: 'unmap-mismatch',
    with: '[device address=0x00000000fffbc000] [allocation size=64 bytes] [sync offset+size=128]',
  },
  {
    id: 'sync-direction',
    text: 'device driver syncs DMA memory with different direction',
    meaning: 'syncs for another direction than it mapped for',
    cause: 'unmap-mismatch',
    with: `${ADDRESS} [mapped with DMA_TO_DEVICE] [synced with DMA_FROM_DEVICE]`,
  },
  {
    id: 'sync-for-cpu',
    text: 'device driver syncs device read-only DMA memory for cpu',
    meaning: 'syncs for the CPU what the device cannot have written',
    cause: 'unmap-mismatch',
    with: `${ADDRESS} [mapped with DMA_TO_DEVICE] [synced with DMA_TO_DEVICE]`,
  },
  {
    id: 'sync-for-device',
    text: 'device driver syncs device write-only DMA memory to device',
    meaning: 'syncs for the device what it cannot read',
    cause: 'unmap-mismatch',
    with: `${ADDRESS} [mapped with DMA_FROM_DEVICE] [synced with DMA_FROM_DEVICE]`,
  },
  {
    id: 'sync-entries',
    text: 'device driver syncs DMA sg list with different entry count',
    meaning: 'syncs a scatterlist with another number of entries than it mapped',
    cause: 'unmap-mismatch',
    with: '[map count=4] [sync count=1]',
  },
  {
    id: 'segment-length',
    text: 'mapping sg segment longer than device claims to support',
    meaning: 'maps a segment that is longer than the device says it can take',
    cause: 'segment-limit',
    with: '[len=131072] [max=65536]',
  },
  {
    id: 'segment-boundary',
    text: 'mapping sg segment across boundary',
    meaning: "maps a segment that crosses the device's boundary",
    cause: 'segment-limit',
    with: '[start=0x00000000fffff000] [end=0x0000000100001fff] [boundary=0x00000000ffffffff]',
  },
  {
    id: 'leak',
    text: 'device driver has pending DMA allocations while released from device',
    meaning: 'was unbound and left mappings behind',
    cause: 'mapping-leak',
    with: '[count=32]',
  },
  {
    id: 'overlap',
    text: "cacheline tracking EEXIST, overlapping mappings aren't supported",
    meaning: 'maps a cache line that is mapped already',
    cause: 'overlapping-mappings',
    with: '',
  },
];

/** `[name=value]`, `[mapped as single]`. */
const BRACKETS =
  /\[(?:(?<name>[^\]=]{1,40})=(?<value>[^\]]{1,60})|(?<how>(?:un)?(?:mapp|sync)ed (?:as|with)) (?<what>[^\]]{1,40}))\]/g;

function detailsOf(text: string): Detail[] {
  return Array.from(text.matchAll(BRACKETS), ({ groups = {} }) => {
    const { how = '', name = how, value, what = '' } = groups;
    return [name, value ?? what] as const;
  });
}

function misuse({ cause, id, meaning }: Misuse, { device, rest }: Groups): Finding {
  const details = detailsOf(rest ?? '');
  const address = hexNumber(details.find(([name]) => name === 'device address')?.[1] ?? '');
  return {
    ...NOTHING,
    kind: `linux.dma-api-${id}`,
    model: 'linux',
    severity: cause === 'overlapping-mappings' ? 'warning' : 'error',
    summary: `${device ?? 'a device'}: its driver ${meaning}`,
    requester: requesterOf(device),
    address: address === null ? null : { value: address, space: 'IOVA' },
    details,
    causes: suspects({ certain: [cause] }),
  };
}

const quoted = (text: string) => text.replace(/[()[\]{}.*+?^$|\\]/g, '\\$&');

export const DMA_API_LINES: readonly LineFormat[] = MISUSES.map((of) => ({
  id: `linux.dma-api-${of.id}`,
  needle: of.text,
  // Before Linux 5.0 the device stood before "DMA-API".
  pattern: new RegExp(
    String.raw`(?:DMA-API: (?:[^\s:]{1,64} )?${DEVICE}: |(?:${DEVICE.replace('device', 'before')}: )?(?:DMA-API: )?)${quoted(of.text)}(?<rest>.{0,400})`,
  ),
  example: `DMA-API: ath11k_pci 0000:06:00.0: ${of.text} ${of.with}`.trimEnd(),
  printedBy: 'Linux with CONFIG_DMA_API_DEBUG',
  decode: ({ before, device, rest }: Groups) => misuse(of, { device: device ?? before, rest }),
}));
