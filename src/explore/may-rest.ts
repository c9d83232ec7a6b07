/**
 * Hardware that need not ever do what it can do. A modified cache line stays where it is until something evicts it, and nothing need
 * (Intel SDM vol. 3A, "Methods of Caching Available": write-back). All other agents come to what they can do at some time: software is
 * scheduled, stores leave a store buffer, descriptors are fetched, DMA in flight goes on.
 */
export const MAY_REST: readonly string[] = ['cpu cache'];
