import { A1 } from './a1.ts';
import { A1_PASID } from './a1-pasid.ts';
import { A1_SMMU } from './a1-smmu.ts';
import { A2 } from './a2.ts';
import { A2_PASID } from './a2-pasid.ts';
import { A2_SMMU } from './a2-smmu.ts';
import { A7 } from './a7.ts';
import { A8 } from './a8.ts';
import { A8_SMMU } from './a8-smmu.ts';
import { C1 } from './c1.ts';
import { C2 } from './c2.ts';
import { C3 } from './c3.ts';
import { C4 } from './c4.ts';
import { C5 } from './c5.ts';
import { C6 } from './c6.ts';
import { C7 } from './c7.ts';
import { C8 } from './c8.ts';
import { D1 } from './d1.ts';
import { D2 } from './d2.ts';
import { D3 } from './d3.ts';
import { D4 } from './d4.ts';
import { D4_SMMU } from './d4-smmu.ts';
import { D5 } from './d5.ts';
import { D6 } from './d6.ts';
import type { Case } from './define.ts';
import { GEM5_CMDQ_WRAP } from './gem5-cmdq-wrap.ts';
import { K2 } from './k2.ts';
import { K5 } from './k5.ts';
import { K8 } from './k8.ts';
import type { Measure } from './measure.ts';
import { SMMU_HITLESS_WMB } from './smmu-hitless-wmb.ts';
import { SMMU_NR_ATS } from './smmu-nr-ats.ts';
import { SMMU_STE_ORDER } from './smmu-ste-order.ts';
import { MERGE_PSC } from './vtd-merge-psc.ts';
import { NESTED_PARENT_DID } from './vtd-nested-parent-did.ts';
import { PASID_TORN_REPLACE } from './vtd-pasid-torn-replace.ts';
import { PASIDCACHE_ON_CTX } from './vtd-pasidcache-on-ctx.ts';
import { PRQ_FPD_DRAIN } from './vtd-prq-fpd-drain.ts';
import { PSI_UNALIGNED_MASK } from './vtd-psi-unaligned-mask.ts';
import { SUPERPAGE_TAIL } from './vtd-superpage-tail.ts';
import { SYNCMAP_RACE } from './vtd-syncmap-race.ts';

/** Every case that ships, in the order in which they are listed. */
export const CASES: readonly Case[] = [
  A1,
  A2,
  A1_SMMU,
  A2_SMMU,
  A1_PASID,
  A2_PASID,
  A7,
  A8,
  A8_SMMU,
  C1,
  C2,
  C3,
  C4,
  C5,
  C6,
  C8,
  D1,
  D2,
  D3,
  D4,
  D4_SMMU,
  D5,
  D6,
  MERGE_PSC,
  SUPERPAGE_TAIL,
  PSI_UNALIGNED_MASK,
  SYNCMAP_RACE,
  PASIDCACHE_ON_CTX,
  PASID_TORN_REPLACE,
  NESTED_PARENT_DID,
  PRQ_FPD_DRAIN,
  SMMU_NR_ATS,
  GEM5_CMDQ_WRAP,
  SMMU_HITLESS_WMB,
  SMMU_STE_ORDER,
  K2,
  K5,
  K8,
];

/** Every case that ships whose result is figures. */
export const MEASURES: readonly Measure[] = [C7];
