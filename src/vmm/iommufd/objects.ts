/** Objects of one open iommufd: who has which id, and who holds whom (drivers/iommu/iommufd/main.c of Linux). */
import type { Errno } from './errno.ts';

export type ObjectType =
  | 'DEVICE'
  | 'HWPT_PAGING'
  | 'HWPT_NESTED'
  | 'IOAS'
  | 'ACCESS'
  | 'FAULT'
  | 'VIOMMU'
  | 'VDEVICE'
  | 'VEVENTQ'
  | 'HW_QUEUE';

/** What all objects have. A class of one adds its own, and says what its end is. */
export abstract class IommufdObject {
  abstract readonly type: ObjectType;
  /** 0 until {@link ObjectTable.add}. */
  id = 0;
  /** The table is one; with only that one it may be destroyed. */
  users = 1;
  /** Gives back what the object holds. */
  abstract release(): void;
}

export class ObjectTable {
  private readonly byId = new Map<number, IommufdObject>();
  /** Ids whose object was taken away from user space, which may not come back while it does not know (tombstones). */
  private readonly buried = new Set<number>();

  /** Gives the object the lowest id that is free. */
  add<T extends IommufdObject>(object: T): T {
    let id = 1;
    while (this.byId.has(id) || this.buried.has(id)) id++;
    object.id = id;
    this.byId.set(id, object);
    return object;
  }

  /** @returns ENOENT where there is none, or one of another type */
  get<T extends IommufdObject>(id: number, of: abstract new (...args: never[]) => T): T | Errno {
    const object = this.byId.get(id);
    return object instanceof of ? object : 'ENOENT';
  }

  /** IOMMU_DESTROY: EBUSY while anybody holds it. */
  destroy(id: number): Errno | null {
    const object = this.byId.get(id);
    if (object === undefined) return 'ENOENT';
    if (object.users !== 1) return 'EBUSY';
    this.remove(object);
    return null;
  }

  /** The kernel's own end of an object that nobody else holds. */
  remove(object: IommufdObject): void {
    if (object.users !== 1) throw new Error(`${object.type} ${object.id} has ${object.users} users`);
    this.byId.delete(object.id);
    object.users = 0;
    object.release();
  }

  /** Ends an object, and leaves its id taken until the file is closed. */
  bury(object: IommufdObject): void {
    this.remove(object);
    this.buried.add(object.id);
  }

  get isEmpty(): boolean {
    return this.byId.size === 0 && this.buried.size === 0;
  }

  all(): IommufdObject[] {
    return [...this.byId.values()].sort((a, b) => a.id - b.id);
  }

  /** What closing the file does: ends what has one user, until nothing is left. */
  close(): void {
    while (this.byId.size > 0) {
      const leaves = this.all().filter((object) => object.users === 1);
      if (leaves.length === 0) throw new Error(`objects hold each other: ${this.all().map((o) => o.type)}`);
      for (const leaf of leaves) if (leaf.users === 1) this.remove(leaf);
    }
    this.buried.clear();
  }
}
