/** Properties that are there where they are not undefined. */
type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** What was given of some options, to be handed on: a property that is undefined is left out. */
export function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>;
}
