/**
 * Where everything lies in the machine's one WebAssembly memory.
 *
 *     0            4 KiB                                                                    64 KiB-aligned
 *     +------------+-----------------+----------------------+---------------------+----------+
 *     | window of  | saved windows   | TLB contexts         | code: predecoded    | guest    |
 *     | the running| of the harts,   | of the harts,        | records, as the     | RAM      |
 *     | hart       | 4 KiB each      | 48 KiB each          | architecture likes  |          |
 *     +------------+-----------------+----------------------+---------------------+----------+
 *
 * The window holds the running hart's registers at fixed addresses below 64 KiB, so that a record names a register by its
 * 16-bit address. Changing harts copies one window out and another in. What is where in a window is the architecture's.
 */

/** Bytes of a window. */
export const WINDOW_SIZE = 4096;

export const TLB_ENTRIES = 1024;
export const TLB_ENTRY_SIZE = 16;
const TLB_SIZE = TLB_ENTRIES * TLB_ENTRY_SIZE;
/** Offsets in a context. Entry: 64-bit tag (the page's address; all ones when empty), then an addend. */
export const TLB = { load: 0, store: TLB_SIZE, execute: 2 * TLB_SIZE } as const;
export const TLB_CONTEXT_SIZE = 3 * TLB_SIZE;
export const TLB_CONTEXTS = 8;

export const MAX_HARTS = 8;

export interface Layout {
  readonly harts: number;
  /** The code area. */
  readonly codeBase: number;
  readonly codeBytes: number;
  /** Where RAM begins. */
  readonly ram: number;
  /** Pages of 64 KiB of the whole memory. */
  readonly pages: number;
}

export const savedWindow = (hart: number): number => WINDOW_SIZE * (1 + hart);
export const tlbContext = (layout: Layout, hart: number, index: number): number =>
  WINDOW_SIZE * (1 + layout.harts) + (hart * TLB_CONTEXTS + index) * TLB_CONTEXT_SIZE;

/** Lays a memory out; throws RangeError where it would not fit in 4 GiB. */
export function layOut(harts: number, ramSize: number, codeBytes: number): Layout {
  const codeBase = WINDOW_SIZE * (1 + harts) + harts * TLB_CONTEXTS * TLB_CONTEXT_SIZE;
  const ram = Math.ceil((codeBase + codeBytes) / 65536) * 65536;
  const pages = Math.ceil((ram + ramSize) / 65536);
  if (pages > 65536) throw new RangeError(`${ramSize} bytes of RAM do not fit beside the machine in 4 GiB`);
  return { harts, codeBase, codeBytes, ram, pages };
}
