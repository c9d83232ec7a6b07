/** A file system that Linux unpacks at boot (cpio, "newc"), made of a few files. */

export interface Entry {
  readonly name: string;
  /** File type and permissions, as in stat. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Major and minor number of a device. */
  readonly device?: readonly [number, number];
}

export const MODE = {
  folder: 0o040755,
  program: 0o100755,
  file: 0o100644,
  link: 0o120777,
  characters: 0o020600,
} as const;

export function initramfs(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = [];
  [...entries, { name: 'TRAILER!!!', mode: 0 }].forEach((entry, i) => {
    const data = entry.data ?? new Uint8Array();
    const [major, minor] = entry.device ?? [0, 0];
    const name = Buffer.from(`${entry.name}\0`);
    // Inode, mode, owner, group, links, time, size, device, device of a special file, length of the name, checksum.
    const numbers = [i + 1, entry.mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
    const head = `070701${numbers.map((n) => n.toString(16).padStart(8, '0')).join('')}`;
    parts.push(padded(Buffer.concat([Buffer.from(head), name])), padded(Buffer.from(data)));
  });
  return Buffer.concat(parts);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
