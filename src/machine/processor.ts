/**
 * What an architecture gives a machine: its harts, and the engine that runs them.
 *
 *     createMachine({ processor: riscv64Processor, … })
 *          machine    time, events, turns, windows                 create-machine.ts
 *             | ^
 *             v |     EngineMachine: what the engine may ask of the machine
 *          engine     interpreters, predecoded code, regions       riscv64/engine.ts, x86_64/engine.ts
 *          harts      registers, translation, traps
 *
 * A processor is passed as a value, so that who needs one architecture does not load the other.
 */
import type { WasmMemory } from "../wasm/engine.ts";
import type { Bus } from "./bus.ts";
import type { Layout } from "./engine/layout.ts";
import type { TranslationCheck } from "./engine/translation-check.ts";
import type { Hart } from "./hart.ts";
import type { KernelBinding, MachineProbes } from "./machine.ts";
import type { CodeTracker, Ram } from "./ram.ts";

/** Which tiers a machine uses: the interpreter and the exact tier, or the exact tier alone. */
export type Tier = "run" | "step";

export interface Processor<H extends Hart = Hart> {
  readonly arch: Hart["arch"];
  /** Bytes of the machine's memory that predecoded code takes, for RAM of that size; `codePages` as in MachineOptions. */
  codeBytes(ramSize: number, codePages: number | undefined): number;
  createEngine(machine: EngineMachine, memory: WasmMemory, layout: Layout): Engine<H>;
}

/** What an engine and its harts need of the machine around them. */
export interface EngineMachine {
  readonly ram: Ram;
  readonly bus: Bus;
  readonly probes: MachineProbes;
  readonly kernel: KernelBinding | undefined;
  /** Looks for uses of stale translations; undefined where that was not asked for. */
  readonly translationCheck: TranslationCheck | undefined;
  /** Whether the running hart is to come back to the machine's loop as soon as it can. */
  readonly isLeaving: boolean;
  /** Something is due at `atNs` of the hart's time: if it is the one that runs, it comes back to the machine by then. */
  returnBy(hart: Hart, atNs: number): void;
  /** Stops the machine: the hart can do nothing any more (a triple fault). */
  fail(status: number): void;
}

export interface Engine<H extends Hart = Hart> {
  /** By id. The first is in the window at address 0, the others in their saved windows. */
  readonly harts: readonly (H & EngineHart)[];
  /** Who is told of writes to RAM. */
  readonly code: CodeTracker;
  /** Puts every hart in its state after reset, with that address as its first pc where the architecture leaves it open. */
  reset(pc: number): void;
  /** From now on this hart is the one in the window at address 0: what generated code asks of the host is for it. */
  setRunning(hart: H & EngineHart): void;
  /** Uses the interpreter that takes the least time to make, or the fastest. Called before anything runs, and perhaps again later. */
  useInterpreter(kind: "soonest" | "fastest"): void;
  /** Translates what begins at these places, as `EngineHart.place` told them, hottest first. */
  translate(hot: readonly number[]): void;
}

/** A hart as the machine's loop sees it. */
export interface EngineHart extends Hart {
  /** Virtual time that the hart has reached: what it has retired, and how long it has waited. */
  readonly timeNs: number;
  /** Instructions left of its turn. */
  readonly fuel: number;
  /** Lets the hart retire `count` more instructions, whatever it had left. */
  setFuel(count: number): void;
  /** Lets time pass in which the hart does nothing. */
  passTime(ns: number): void;
  /** Runs until fuel is used up at a check point, the hart waits, or the machine asks for it back. */
  execute(fuel: number, tier: Tier): void;
  /** Ends the hart's wait, if something is pending that ends it; whether it did. */
  wake(): boolean;
  /** A timer of the hart's own (RISC-V's stimecmp): brings what it drives up to date with the hart's time. */
  refreshTimer(): void;
  /** When to call `refreshTimer` next, and when the timer would end a wait; Infinity where there is nothing to wait for. */
  readonly timerNs: number;
  readonly wakingTimerNs: number;
  /** The hart's window has been copied to that address, and is used there from now on. Its reservation does not survive. */
  moveWindow(address: number): void;
  /** Drives an interrupt line, numbered as the architecture numbers them (DeviceServices.setInterrupt). */
  setInterruptPending(line: number, level: boolean): void;
  /** Where it was preempted, in terms that `Engine.translate` understands; undefined where nothing can be translated. */
  readonly place: number | undefined;
}
