// Numbers of the kernel's entry points: the operand of each `kentry` instruction in kernel text, and the TypeScript function
// that it calls (trap.ts enterKernel).

export const ENTRY = {
  /** Hart 0, paging off: free list, kernel page table. */
  start: 0,
  /** Any hart, paging on, for the first time. */
  main: 1,
  userTrap: 2,
  kernelTrap: 3,
  /** Reached by no path: a bug. */
  stuck: 4,
} as const;
