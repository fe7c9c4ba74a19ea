// What the comparison of the memory model says when something differs, and small things that all its parts use.

import type { ModelProcess } from "./memory-model.ts";

/** Where the model and the real thing differ. */
export class Difference extends Error {
  override readonly name = "Difference";
}

export function operationPage(page: number): { page: number; pages: number } {
  return { page, pages: 1 };
}

export function isFree(model: ModelProcess, first: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (model.pages.has(first + i)) return false;
  return true;
}

export function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Difference(`${what}: ${String(actual)}, not ${String(expected)}`);
}

export function hex(value: number | undefined): string {
  return value === undefined ? "nowhere" : `0x${(value < 0 ? value + 2 ** 32 : value).toString(16)}`;
}
