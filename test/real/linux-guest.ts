/** An unmodified Linux of Debian's in a real QEMU, with an IOMMU and a device that faults. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Qemu } from '../oracle/qemu-process.ts';
import { findQemu } from '../oracle/qemu-process.ts';
import { initramfs, MODE } from './initramfs.ts';

const SUITE = 'trixie';
const PACKAGES = ['linux-image-amd64', 'busybox-static'];
/** A boot takes ten seconds here; a guest that hangs is ended. */
const MOST_SECONDS = 180;

export interface LinuxGuest {
  readonly qemu: Qemu;
  readonly kernel: string;
  /** `6.12.107`. */
  readonly version: string;
  readonly initrd: Buffer;
}

/** @returns the guest, or why it cannot be had on this machine */
export function findLinuxGuest(): LinuxGuest | string {
  try {
    const qemu = findQemu();
    const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'pinhole/linux');
    const script = fileURLToPath(new URL('install-debian.sh', import.meta.url));
    const { status, stderr } = spawnSync(script, [folder, SUITE, '-', ...PACKAGES], { encoding: 'utf8' });
    if (status !== 0) return `no kernel could be fetched (${stderr.trim().split('\n').at(-1)})`;
    return guestOf(qemu, join(folder, 'root'));
  } catch (error) {
    return (error as Error).message.split('\n')[0] as string;
  }
}

function guestOf(qemu: Qemu, root: string): LinuxGuest {
  const kernel = readdirSync(join(root, 'boot')).find((name) => name.startsWith('vmlinuz-')) as string;
  const release = kernel.replace('vmlinuz-', '');
  const drivers = join(root, 'usr/lib/modules', release, 'kernel/drivers');
  const busybox = ['usr/bin/busybox', 'bin/busybox'].map((path) => join(root, path)).find((path) => existsSync(path));
  const folders = ['bin', 'dev', 'proc', 'sys', 'tmp'].map((name) => ({ name, mode: MODE.folder }));
  const initrd = initramfs([
    ...folders,
    { name: 'dev/console', mode: MODE.characters, device: [5, 1] },
    { name: 'bin/busybox', mode: MODE.program, data: readFileSync(busybox as string) },
    { name: 'bin/sh', mode: MODE.link, data: Buffer.from('busybox') },
    {
      name: 'e1000.ko.xz',
      mode: MODE.file,
      data: readFileSync(join(drivers, 'net/ethernet/intel/e1000/e1000.ko.xz')),
    },
    { name: 'init', mode: MODE.program, data: readFileSync(new URL('guest-init.sh', import.meta.url)) },
  ]);
  return { qemu, kernel: join(root, 'boot', kernel), version: /^[\d.]+/.exec(release)?.[0] ?? release, initrd };
}

/**
 * Boots, and waits until it is off.
 * @param iommu QEMU's options for it. @param parameters of the kernel
 * @returns all that the guest printed
 */
export async function boot(guest: LinuxGuest, iommu: readonly string[], parameters: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pinhole-guest-'));
  try {
    const initrd = join(folder, 'initrd');
    writeFileSync(initrd, guest.initrd);
    const [program, ...rest] = guest.qemu.command as [string, ...string[]];
    const child = spawn(
      program,
      [
        ...rest,
        ...['-M', 'q35,kernel-irqchip=off', '-accel', 'tcg', '-m', '512', '-nodefaults', '-display', 'none'],
        ...['-no-reboot', '-serial', 'stdio', '-kernel', guest.kernel, '-initrd', initrd],
        ...['-append', `console=ttyS0 panic=-1 ${parameters}`, ...iommu, '-device', 'edu,addr=05.0'],
        ...['-netdev', 'user,id=n', '-device', 'e1000,netdev=n,addr=06.0'],
      ],
      { env: { ...process.env, ...guest.qemu.environment }, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const timer = setTimeout(() => child.kill('SIGKILL'), MOST_SECONDS * 1000);
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    await new Promise((resolve) => child.on('close', resolve));
    clearTimeout(timer);
    return text;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
