/** Structures of the IORT table (Arm DEN 0049E, IO Remapping Table; chapter 3). Fields of later revisions of a node may not be there. */
import type { Structure, TableField } from '../declaration.ts';
import { address, flag, range, structure, u8, u16, u32, u64, zero } from '../declaration.ts';
import { HEADER } from '../header.ts';

const CLAUSE = 'DEN 0049E 3.1.1';

export const IORT_TABLE = structure('IORT', 'IO Remapping Table', 'DEN 0049E 3.1', {
  ...HEADER,
  'Number of IORT Nodes': u32(36, { form: 'decimal' }),
  'Offset to Array of IORT Nodes': u32(40),
  Reserved: zero(44, 4),
});

export const NODE_HEAD = 16;

type HeadField = 'Type' | 'Length' | 'Revision' | 'Identifier' | 'Number of ID mappings' | 'Reference to ID Array';

function node<N extends string>(
  type: number,
  id: string,
  title: string,
  fields: Readonly<Record<N, TableField>>,
  required?: number,
): Structure<N | HeadField> {
  const head: Readonly<Record<HeadField, TableField>> = {
    Type: u8(0, { values: { [type]: id } }),
    Length: u16(1, { form: 'decimal' }),
    Revision: u8(3, { form: 'decimal' }),
    Identifier: u32(4),
    'Number of ID mappings': u32(8, { form: 'decimal' }),
    'Reference to ID Array': u32(12),
  };
  return structure<N | HeadField>(id, title, CLAUSE, { ...head, ...fields }, required);
}

/** Memory access properties: 8 bytes of a node. */
const MEMORY = (at: number) => ({
  'Cache Coherent Attribute': u32(at, { values: { 0: 'not coherent', 1: 'coherent' } }),
  'Allocation Hints': u8(at + 4, { bits: { transient: flag(0), write: flag(1), read: flag(2), override: flag(3) } }),
  'Reserved memory properties': zero(at + 5, 2),
  'Memory Access Flags': u8(at + 7, { bits: { CPM: flag(0), DACS: flag(1), CANWBS: flag(2) } }),
});

/** Behind it stand the identifiers of its ITSs. */
export const ITS = node(0, 'ITS group', 'ITS Group Node', { 'Number of ITSs': u32(16, { form: 'decimal' }) });

/** Behind it stands its name. */
export const NAMED = node(1, 'named component', 'Named Component Node', {
  'Node Flags': u32(16, { bits: { 'stall supported': flag(0), 'PASID bits': range(5, 1) } }),
  ...MEMORY(20),
  'Device Memory Address Size Limit': u8(28, { form: 'decimal' }),
});

export const ROOT_COMPLEX = node(
  2,
  'root complex',
  'Root Complex Node',
  {
    ...MEMORY(16),
    'ATS Attribute': u32(24, { bits: { ATS: flag(0), PRI: flag(1), 'PASID forwarding': flag(2) } }),
    'PCI Segment Number': u32(28),
    'Memory Address Size Limit': u8(32, { form: 'decimal' }),
    'PASID Capabilities': u16(33, { bits: { 'maximal PASID width': range(4, 0) } }),
    Reserved: zero(35, 1),
    Flags: u32(36, { bits: { 'PASID supported': flag(0) } }),
  },
  32,
);

const SMMU_MODELS = {
  0: 'SMMUv1',
  1: 'SMMUv2',
  2: 'Arm MMU-400',
  3: 'Arm MMU-500',
  4: 'Arm MMU-401',
  5: 'Cavium ThunderX SMMUv2',
};

export const SMMU = node(3, 'SMMU', 'SMMUv1 or SMMUv2 Node', {
  'Base Address': address(16),
  Span: u64(24),
  Model: u32(32, { values: SMMU_MODELS }),
  Flags: u32(36, { bits: { 'DVM supported': flag(0), 'coherent walks': flag(1) } }),
  'Global Interrupt Array Reference': u32(40),
  'Number of context interrupts': u32(44, { form: 'decimal' }),
  'Reference to context interrupts': u32(48),
  'Number of PMU interrupts': u32(52, { form: 'decimal' }),
  'Reference to PMU interrupts': u32(56),
});

const HTTU = { 0: 'none', 1: 'access flag', 2: 'access flag and dirty state', 3: 'reserved' };

export const SMMU_V3 = node(
  4,
  'SMMUv3',
  'SMMUv3 Node',
  {
    'Base Address': address(16),
    Flags: u32(24, {
      bits: {
        'COHACC override': flag(0),
        'HTTU override': range(2, 1, HTTU),
        'proximity domain valid': flag(3),
        'DeviceID mapping index valid': flag(4),
      },
    }),
    Reserved: zero(28, 4),
    'VATOS Address': address(32),
    Model: u32(40, { values: { 0: 'generic SMMUv3', 1: 'HiSilicon Hi161x', 2: 'Cavium CN99xx' } }),
    'Event GSIV': u32(44, { form: 'decimal' }),
    'PRI GSIV': u32(48, { form: 'decimal' }),
    'GERR GSIV': u32(52, { form: 'decimal' }),
    'Sync GSIV': u32(56, { form: 'decimal' }),
    'Proximity Domain': u32(60, { form: 'decimal' }),
    'DeviceID Mapping Index': u32(64, { form: 'decimal' }),
  },
  60,
);

export const PMCG = node(
  5,
  'PMCG',
  'Performance Monitoring Counter Group Node',
  {
    'Page 0 Base Address': address(16),
    'Overflow GSIV': u32(24, { form: 'decimal' }),
    'Node Reference': u32(28),
    'Page 1 Base Address': address(32),
  },
  32,
);

export const RMR = node(6, 'RMR', 'Reserved Memory Range Node', {
  Flags: u32(16, {
    bits: {
      'remapping permitted': flag(0),
      privileged: flag(1),
      'access attributes': range(9, 2, {
        0: 'Device-nGnRnE',
        1: 'Device-nGnRE',
        2: 'Device-nGRE',
        3: 'Device-GRE',
        4: 'Normal non-cacheable',
        5: 'Normal write-back',
      }),
    },
  }),
  'Number of memory ranges': u32(20, { form: 'decimal' }),
  'Reference to memory ranges': u32(24),
});

/** Behind it stands its name. */
export const IWB = node(7, 'IWB', 'GICv5 Interrupt Wire Bridge Node', {
  'Base Address': address(16),
  'IWB Index': u16(24),
});

export const NODES = { 0: ITS, 1: NAMED, 2: ROOT_COMPLEX, 3: SMMU, 4: SMMU_V3, 5: PMCG, 6: RMR, 7: IWB } as const;

export const ID_MAPPING = structure('ID mapping', 'ID mapping', CLAUSE, {
  'Input base': u32(0),
  /** One less than there are. */
  'Number of IDs': u32(4),
  'Output base': u32(8),
  'Output Reference': u32(12),
  Flags: u32(16, { bits: { 'single mapping': flag(0) } }),
});

export const MEMORY_RANGE = structure('memory range', 'Memory range descriptor', CLAUSE, {
  'Physical Range offset': address(0),
  'Physical Range length': u64(8),
  Reserved: zero(16, 4),
});

export const ITS_ID = structure('ITS', 'ITS identifier', CLAUSE, { Identifier: u32(0, { form: 'decimal' }) });
