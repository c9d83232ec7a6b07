/** One open /dev/iommu. */
import type { EventQueue } from './event-queue.ts';
import type { Kernel } from './kernels.ts';
import { kernelNamed } from './kernels.ts';
import { ObjectTable } from './objects.ts';
import type { AccountMode } from './pages.ts';
import { Accounts } from './pages.ts';
import type { UserMemory } from './user-memory.ts';

/** Who has which IOMMU group's DMA, of all that run on the host: a driver of the kernel, or one open iommufd. */
export class DmaOwners {
  private readonly byGroup = new Map<number, { owner: object; count: number }>();

  /** @returns whether the group is the owner's now */
  claim(group: number, owner: object): boolean {
    const now = this.byGroup.get(group);
    if (now !== undefined && now.owner !== owner) return false;
    this.byGroup.set(group, { owner, count: (now?.count ?? 0) + 1 });
    return true;
  }

  release(group: number): void {
    const now = this.byGroup.get(group);
    if (now === undefined) throw new Error(`group ${group} has no owner`);
    if (now.count === 1) this.byGroup.delete(group);
    else now.count--;
  }
}

export interface IommufdOptions {
  readonly memory: UserMemory;
  readonly owners: DmaOwners;
  /** A name of {@link KERNELS}; the first if absent. */
  readonly kernel?: string;
  /** RLIMIT_MEMLOCK in pages; none if absent. */
  readonly lockedPages?: number;
  /** CAP_SYS_RESOURCE: may set RLIMIT_MODE. */
  readonly mayChangeLimits?: boolean;
  /** CAP_IPC_LOCK: pages are not charged. */
  readonly mayLockAll?: boolean;
  /** The module's parameter `allow_unsafe_interrupts`. */
  readonly allowUnsafeInterrupts?: boolean;
}

/** The state behind the file; what may be done with it is in the files of each kind of object. */
export class Iommufd {
  readonly objects = new ObjectTable();
  readonly memory: UserMemory;
  readonly owners: DmaOwners;
  readonly kernel: Kernel;
  readonly accounts: Accounts;
  readonly options: IommufdOptions;
  /** RLIMIT_MODE: of the user, or of the process. */
  accountMode: AccountMode = 'user';
  /** The IOAS of the compatibility with VFIO's container; 0 if there is none. */
  vfioIoas = 0;
  /** Queues that are read through files of their own, by file descriptor. */
  readonly files = new Map<number, EventQueue>();
  private nextFile = 3;

  constructor(options: IommufdOptions) {
    this.options = options;
    this.memory = options.memory;
    this.owners = options.owners;
    this.kernel = kernelNamed(options.kernel ?? 'linux-6.18');
    this.accounts = new Accounts(options.lockedPages);
  }

  /** @returns the file descriptor */
  open(queue: EventQueue): number {
    this.files.set(this.nextFile, queue);
    return this.nextFile++;
  }

  /** close() of a queue's file: only then may the queue be destroyed. */
  closeFile(file: number): void {
    const queue = this.files.get(file);
    if (queue === undefined) throw new RangeError(`no file ${file}`);
    this.files.delete(file);
    queue.users--;
  }
}
