// The shape of a system-call number table: runs of names from a first number on, and its inverse.

/** Numbers the names of each run, which are separated by white space. */
export function numberCalls(runs: readonly (readonly [first: number, names: string])[]): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const [first, names] of runs) {
    names
      .trim()
      .split(/\s+/)
      .forEach((name, index) => numbers.set(name, first + index));
  }
  return numbers;
}

/** Name of each number. */
export function invertCalls(numbers: ReadonlyMap<string, number>): Map<number, string> {
  return new Map([...numbers].map(([name, number]) => [number, name]));
}
