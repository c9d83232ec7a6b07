/** What to say of a name that nothing has. */
import { nearest } from '../decode/nearest.ts';

export { nearest };

/** `no case 'D9'; did you mean D1, D2 or D3?` */
export function unknownName(kind: string, name: string, names: readonly string[], where = ''): string {
  const near = nearest(name, names);
  const list = near.length > 1 ? `${near.slice(0, -1).join(', ')} or ${near.at(-1)}` : near[0];
  return `no ${kind} '${name}'${where}; ${list === undefined ? `'pinhole list' names them` : `did you mean ${list}?`}`;
}
