/** Who gives out the tags of cached translations: VMIDs for each SMMU by itself, ASIDs for all of them (drivers/iommu/arm/arm-smmu-v3 of Linux). */

/** Numbers from 1 up, lowest free first. */
export class IdAllocator {
  private readonly taken = new Set<number>();
  private readonly most: number;

  /** @param bits that an id has */
  constructor(bits: number) {
    this.most = 2 ** bits - 1;
  }

  /** @returns 0 where none is free */
  allocate(): number {
    for (let id = 1; id <= this.most; id++) {
      if (this.taken.has(id)) continue;
      this.taken.add(id);
      return id;
    }
    return 0;
  }

  free(id: number): void {
    if (!this.taken.delete(id)) throw new Error(`id ${id} is not taken`);
  }

  get inUse(): number {
    return this.taken.size;
  }
}
