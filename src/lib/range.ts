// Half-open ranges [start, end) of numbers. The end of the address space is 0 when addresses are sign-extended (the top
// page is [-4096, 0)), so a range never overflows.

/** The numbers from `start` up to but not including `end`; empty when they are equal. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export function range(start: number, end: number): Range {
  return { start, end };
}

export function rangeLength(r: Range): number {
  return r.end - r.start;
}

export function isEmpty(r: Range): boolean {
  return r.end <= r.start;
}

/** Whether the value lies in the range. */
export function contains(r: Range, value: number): boolean {
  return value >= r.start && value < r.end;
}

/** Whether every number of `inner` lies in `outer`; true for an empty `inner` anywhere. */
export function containsRange(outer: Range, inner: Range): boolean {
  return isEmpty(inner) || (inner.start >= outer.start && inner.end <= outer.end);
}

/** Whether some number lies in both. */
export function overlaps(a: Range, b: Range): boolean {
  return Math.max(a.start, b.start) < Math.min(a.end, b.end);
}

/** The numbers that lie in both, or undefined when there are none. */
export function intersect(a: Range, b: Range): Range | undefined {
  const start = Math.max(a.start, b.start);
  const end = Math.min(a.end, b.end);
  return start < end ? { start, end } : undefined;
}
