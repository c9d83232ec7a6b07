/** What a kernel's command line says of IOMMUs, parameter by parameter. */
import { adviceOf, printable } from '../../decode/index.ts';
import type { Colours } from '../story.ts';

export function sayCommandLine(line: string, colours: Colours): string[] {
  const advice = adviceOf(line);
  if (advice.length === 0) return ['Nothing of an IOMMU in it: what the kernel was built with holds.'];
  return advice.flatMap(({ says, what, wrong }) => [
    `${wrong ? colours.yellow('WARNING') : colours.dim('ok     ')}  ${colours.bold(printable(what))}`,
    `           ${printable(says)}`,
  ]);
}
