import { defineCase } from './define.ts';
import { mergeLoop } from './superpage.ts';

export const D3 = defineCase({
  id: 'D3',
  title: 'a table was freed, and the invalidation says that only leaves were changed (IH = 1)',
  thread: '003',
  tags: ['core'],
  model: 'vtd',
  invariants: ['I2', 'I4'],
  variants: { 'ih-1': { spec: 'violated', 'qemu-10': 'holds' } },
  needs: ['paging-structure cache'],
  build: (setup) =>
    mergeLoop({ profile: setup.profile, version: 'ideal', via: 'queue', device: 'stray', mutation: { hint: true } }),
});
