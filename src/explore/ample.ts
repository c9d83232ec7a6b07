import type { Instance } from './instance.ts';

export class Ample {
  static of(_instance: Instance): Ample | null {
    return null;
  }
  pick(): number {
    return -1;
  }
}
