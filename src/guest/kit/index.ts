export { iommuMap, iommuUnmap } from './iommu-api.ts';
export type { TableFormat } from './page-table.ts';
export type { SplitOrder } from './split.ts';
