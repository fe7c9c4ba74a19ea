// The same traps of one program on two architectures, step by step in columns next to each other:
//
//   system call: write(1, "hello", 5)
//                 riscv64                                  x86_64
//   in            ecall                                    syscall
//                 pc 0x0000000000010018                    pc 0x0000000000401018
//                 …                                        …
//   uservec       satp 0x8000… -> 0x8000…                  swapgs …
//
// The steps come from trap-trace.ts; the first is the way in and the last the way out, whatever their names.

import type { Kernel } from "../kernel/kernel.ts";
import { listenToTraps } from "./trap-trace.ts";

/** One trap from its cause to the return. */
export interface TrapRecord {
  /** "page fault", or the name of a system call. */
  kind: string;
  readonly steps: { readonly name: string; readonly lines: string[] }[];
}

export interface Column {
  readonly title: string;
  readonly trap: TrapRecord;
}

/** Attaches to a kernel and collects what its traps do, up to a number of them. */
export function collectTraps(k: Kernel, limit: number): TrapRecord[] {
  const traps: TrapRecord[] = [];
  let current: TrapRecord | undefined;
  listenToTraps(
    k,
    {
      begin() {
        current = traps.length < limit ? { kind: "start", steps: [] } : undefined;
        if (current !== undefined) traps.push(current);
      },
      step(name, text) {
        if (current === undefined) return;
        const last = current.steps.at(-1);
        if (name === "" && last !== undefined) last.lines.push(text);
        else current.steps.push({ name, lines: text === "" ? [] : [text] });
        if (name === "page fault") current.kind = name;
        if (name === "syscall") current.kind = /\d+ (\w+)/.exec(text)?.[1] ?? name;
      },
      fields(cells) {
        // A register that holds nothing tells nothing.
        const full = cells.filter((cell) => !/ 0{16}$/.test(cell));
        current?.steps.at(-1)?.lines.push(...full);
      },
    },
    { interrupts: false },
  );
  return traps;
}

const STEP_WIDTH = 12;
const GAP = "  ";

/** Both columns in `width` characters. */
export function formatSideBySide(left: Column, right: Column, width: number): string {
  const columnWidth = Math.floor((width - STEP_WIDTH - 2 * GAP.length) / 2);
  const row = (name: string, a: string, b: string): string =>
    `${name.padEnd(STEP_WIDTH)}${GAP}${a.padEnd(columnWidth)}${GAP}${b}`.trimEnd();
  const lines = [row("", left.title, right.title)];
  const [leftSteps, rightSteps] = [byRole(left.trap, columnWidth), byRole(right.trap, columnWidth)];
  for (const role of mergeOrder([...leftSteps.keys()], [...rightSteps.keys()])) {
    const [a, b] = [leftSteps.get(role) ?? [], rightSteps.get(role) ?? []];
    for (let line = 0; line < Math.max(a.length, b.length); line++)
      lines.push(row(line === 0 ? role : "", a[line] ?? "", b[line] ?? ""));
  }
  return lines.join("\n");
}

/** The lines of each step by what it is for: the first is the way in, the last the way out. */
function byRole({ steps }: TrapRecord, width: number): Map<string, string[]> {
  const roles = new Map<string, string[]>();
  for (const [index, { name, lines }] of steps.entries()) {
    const isEnd = index === 0 || index === steps.length - 1;
    const role = index === 0 ? "in" : isEnd ? "out" : name;
    const text = (isEnd ? [name, ...lines] : lines).flatMap((line) => wrap(line, width));
    roles.set(role, [...(roles.get(role) ?? []), ...text]);
  }
  return roles;
}

/** Every role once, in an order that both columns agree with. */
function mergeOrder(left: readonly string[], right: readonly string[]): string[] {
  const order: string[] = [];
  let next = 0;
  for (const role of left) {
    const at = right.indexOf(role);
    if (at >= next) {
      order.push(...right.slice(next, at).filter((other) => !left.includes(other)));
      next = at + 1;
    }
    order.push(role);
  }
  return [...order, ...right.slice(next).filter((other) => !order.includes(other))];
}

/** Breaks a line where there are two spaces, else at one. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const [index, part] of text.split(/ {2,}/).entries()) {
    // A field of the trapframe is aligned by spaces of its own.
    if (text.length <= width) return [text];
    const joined = index === 0 ? part : `${line}  ${part}`;
    if (joined.length <= width) {
      line = joined;
      continue;
    }
    if (line !== "") lines.push(line);
    line = part;
    while (line.length > width) {
      const space = line.lastIndexOf(" ", width);
      const at = space > 0 ? space : width;
      lines.push(line.slice(0, at));
      line = `  ${line.slice(at).trimStart()}`;
    }
  }
  return [...lines, line];
}
