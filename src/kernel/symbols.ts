// The symbols of the kernel's machine code: addresses by name, and names by address.

import { PAGE_SIZE } from "../lib/address.ts";
import { KernelBug } from "./kernel.ts";

export type Symbols = ReadonlyMap<string, number>;

/** A symbol's address; one that is not there is a bug. */
export function addressOfSymbol(symbols: Symbols, name: string): number {
  const address = symbols.get(name);
  if (address === undefined) throw new KernelBug(`no symbol ${name} in the kernel image`);
  return address;
}

/** The nearest symbol at or below an address, as "uservec+0x10"; undefined where there is none within a page. */
export function nearestSymbol(symbols: Symbols, address: number): string | undefined {
  let best: { name: string; at: number } | undefined;
  for (const [name, at] of symbols) {
    if (at <= address && address - at < PAGE_SIZE && (best === undefined || at >= best.at)) best = { name, at };
  }
  if (best === undefined) return undefined;
  return address === best.at ? best.name : `${best.name}+0x${(address - best.at).toString(16)}`;
}
