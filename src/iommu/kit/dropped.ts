/** What an invalidation has dropped, for the story: lines of a description that were there before it and are not any more. */
export function sayDropped(before: readonly string[], after: readonly string[], say: (text: string) => void): void {
  for (const line of before) if (!after.includes(line)) say(`  drops ${line}`);
}
