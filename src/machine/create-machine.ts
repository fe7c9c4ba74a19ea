/**
 * Makes a machine, and runs it: the loop that shares virtual time among harts and events.
 *
 *     run:  fire the events that are due  ->  of the harts that do not wait, the one that is furthest behind
 *           ->  execute it for a quantum, but not past the next event or the limit  ->  again
 *
 * The running hart's registers are in the window at address 0; changing harts swaps windows and drops the reservation.
 */
import { compileModule, createMemory, type WasmMemory, type WasmModule } from "../wasm/engine.ts";
import type { Bus, Device, DeviceServices, HaltReason } from "./bus.ts";
import { cancelEvent, scheduleEvent, type PendingEvent } from "./events.ts";
import type { KernelBinding, Machine, MachineOptions, MachineProbes, RunLimit, StopReason } from "./machine.ts";
import { Ram } from "./ram.ts";
import { CodeCache } from "./riscv64/code.ts";
import { HartCore, type HartMachine, type Tier } from "./riscv64/hart-core.ts";
import { DEFAULT_HOTNESS, Sampler } from "./riscv64/hotness.ts";
import { buildInterpreterModule, instantiateInterpreter, type InterpreterKind } from "./riscv64/interpreter.ts";
import { CELL, layOut, MAX_HARTS, savedWindow, WINDOW_SIZE } from "./riscv64/layout.ts";
import { Regions } from "./riscv64/regions.ts";
import { pendingInterrupts } from "./riscv64/traps.ts";
import { createBus } from "./system-bus.ts";

/** Instructions that a hart runs before another has its turn; alone, before the interpreter returns to pick up better code. */
const QUANTUM = 10_000;
const QUANTUM_ALONE = 1_000_000;

/** The compiled interpreters: every machine of a process uses the same. */
const compiled = new Map<InterpreterKind, WasmModule>();

function compileInterpreter(kind: InterpreterKind): WasmModule {
  let module = compiled.get(kind);
  if (module === undefined) {
    module = compileModule(buildInterpreterModule(kind));
    compiled.set(kind, module);
  }
  return module;
}

export function createMachine(options: MachineOptions): Machine {
  return new RiscvMachine(options);
}

class RiscvMachine implements Machine, HartMachine {
  readonly ram: Ram;
  readonly bus: Bus;
  readonly code: CodeCache;
  readonly harts: readonly HartCore[];
  readonly services: DeviceServices;
  readonly probes: MachineProbes = {};
  kernel: KernelBinding | undefined;
  isLeaving = false;
  private readonly bytes: Uint8Array;
  private readonly tier: Tier;
  private readonly wasm: WasmMemory;
  private readonly regions: Regions;
  private readonly sampler: Sampler;
  /** Instructions until the machine goes over to the joined interpreter. */
  private joinsAt: number;
  private readonly events: PendingEvent[] = [];
  private running: HartCore;
  private isRunning = false;
  private halted: { reason: HaltReason; status: number } | undefined;
  private isStopRequested = false;
  private isPauseRequested = false;

  constructor(options: MachineOptions) {
    const { ramBase, ramSize } = options;
    if (!(Number.isInteger(options.harts) && options.harts >= 1 && options.harts <= MAX_HARTS)) {
      throw new RangeError(`a machine has 1 to ${MAX_HARTS} harts, not ${options.harts}`);
    }
    if (!(ramSize > 0 && ramSize % 4096 === 0 && ramBase >= 0 && ramBase % 4096 === 0)) {
      throw new RangeError("RAM consists of whole pages");
    }
    const layout = layOut(options.harts, ramSize, options.codePages);
    const memory: WasmMemory = createMemory(layout.pages);
    this.bytes = new Uint8Array(memory.buffer);
    this.tier = options.tier ?? "run";
    this.ram = new Ram(memory.buffer, layout.ram, ramBase, ramSize);
    this.bus = createBus(this.ram);
    this.code = new CodeCache(memory, layout, ramSize, {
      onEvict: () => this.harts.forEach((hart) => hart.flushExecuteTranslations()),
      onCode: (page) => this.harts.forEach((hart) => hart.flushStoresTo(ramBase / 4096 + page)),
    });
    this.ram.trackCode(this.code);
    const harts: HartCore[] = [];
    for (let id = 0; id < options.harts; id++) {
      harts.push(new HartCore(this, id, memory, layout, id === 0 ? 0 : savedWindow(id)));
    }
    this.harts = harts;
    // There is at least one hart.
    this.running = harts[0] as HartCore;
    this.wasm = memory;
    this.regions = new Regions(memory, this.code);
    this.sampler = new Sampler(options.hotness ?? DEFAULT_HOTNESS);
    this.joinsAt = options.joinAfter ?? 0;
    if (this.joinsAt === 0) this.join();
    else this.useInterpreter("plain");
    for (const hart of harts) hart.reset(options.resetPc ?? ramBase);
    this.services = {
      memory: this.ram,
      timeNs: () => this.timeNs,
      schedule: (atNs, device, tag) => {
        scheduleEvent(this.events, { atNs, device, tag });
        this.shortenTo(atNs);
      },
      cancel: (device, tag) => cancelEvent(this.events, device, tag),
      setInterrupt: (hart, bit, level) => this.setInterrupt(hart, bit, level),
      halt: (reason, status) => {
        this.halted = { reason, status };
        this.isLeaving = true;
      },
    };
  }

  /** One interpreter for all harts: it works on the window of whichever runs. */
  private useInterpreter(kind: InterpreterKind): void {
    const interpreter = instantiateInterpreter(compileInterpreter(kind), this.wasm, this.regions.table, {
      slow: () => this.running.slow(),
      miss: () => this.running.miss(),
      load: (size, lo, hi) => this.running.load(size, lo, hi),
      store: (size, lo, hi) => this.running.store(size, lo, hi),
      atomicLoad: (size, lo, hi) => this.running.atomicLoad(size, lo, hi),
      loadReserved: (size, lo, hi) => this.running.loadReserved(size, lo, hi),
      storeConditional: (size, lo, hi) => this.running.storeConditional(size, lo, hi),
    });
    for (const hart of this.harts) hart.attachInterpreter(interpreter);
  }

  /** Goes over to the interpreter with sequences. */
  private join(): void {
    this.joinsAt = Infinity;
    this.useInterpreter("joined");
    this.code.startJoining();
  }

  /** Notes where a hart was preempted, which is mostly the head of a loop, and translates what was found hot. */
  private sample(hart: HartCore, spent: number): void {
    if (!this.sampler.add(hart, spent)) return;
    const hot = this.sampler.take();
    if (hot.length > 0) this.regions.translate(hot);
  }

  get memory(): Ram {
    return this.ram;
  }

  get timeNs(): number {
    return this.running.registers.timeNs;
  }

  attach(device: Device): void {
    this.bus.attach(device);
  }

  bindKernel(binding: KernelBinding | undefined): void {
    this.kernel = binding;
  }

  requestStop(): void {
    this.isStopRequested = true;
    this.isLeaving = true;
  }

  requestPause(): void {
    if (this.harts.length === 1) this.requestStop();
    else this.isPauseRequested = true;
  }

  run(limit: RunLimit): StopReason {
    if (this.isRunning) throw new Error("the machine is running already");
    this.isRunning = true;
    try {
      return this.runLoop(limit);
    } finally {
      this.isRunning = false;
    }
  }

  private runLoop(limit: RunLimit): StopReason {
    const untilNs = limit.untilNs ?? Infinity;
    let left = limit.instructions ?? Infinity;
    for (;;) {
      if (this.halted !== undefined) return { kind: "halted", ...this.halted };
      if (this.isStopRequested || this.isPauseRequested) {
        this.isStopRequested = false;
        this.isPauseRequested = false;
        this.isLeaving = false;
        return { kind: "stopped" };
      }
      this.isLeaving = false;
      if (left <= 0) return { kind: "budget" };
      const hart = this.nextHart();
      if (hart === undefined) {
        const idle = this.skipIdle(limit.idle === "return" ? Math.min(this.latestNs(), untilNs) : untilNs);
        if (idle !== undefined) return idle;
        continue;
      }
      const now = hart.registers.timeNs;
      if (this.fireEvents(now)) continue;
      if (now >= untilNs) return { kind: "budget" };
      this.switchTo(hart);
      hart.refreshTimer();
      const quantum = Math.min(this.harts.length === 1 ? QUANTUM_ALONE : QUANTUM, this.sampler.quantum);
      const due = hart.registers.get(CELL.mip) & 32 ? Infinity : hart.timerDueNs;
      const horizon = Math.min(this.events[0]?.atNs ?? Infinity, due, untilNs) - now;
      // A limit must not cut a turn short where another hart could have the next: the order of turns would depend on the limit.
      const share = this.harts.length === 1 ? left : Infinity;
      const fuel = Math.max(1, Math.min(quantum, share, Math.ceil(horizon)));
      hart.execute(fuel, this.tier);
      const spent = hart.registers.timeNs - now;
      left -= spent;
      this.joinsAt -= spent;
      if (this.joinsAt <= 0) this.join();
      if (this.tier === "run" && this.joinsAt === Infinity) this.sample(hart, spent);
    }
  }

  /** The hart that is furthest behind, of those that do not wait; a waiting hart with an interrupt to wake it does not. */
  private nextHart(): HartCore | undefined {
    let next: HartCore | undefined;
    for (const hart of this.harts) {
      const { registers } = hart;
      if (registers.get(CELL.waiting) !== 0) {
        hart.refreshTimer();
        if ((pendingInterrupts(registers) & registers.get(CELL.mie)) === 0) continue;
        registers.set(CELL.waiting, 0);
      }
      if (next === undefined || registers.timeNs < next.registers.timeNs) next = hart;
    }
    return next;
  }

  /** All harts wait: time goes on to the next event or timer. Returns when there is none before `untilNs`. */
  private skipIdle(untilNs: number): StopReason | undefined {
    let nextNs = this.events[0]?.atNs ?? Infinity;
    for (const hart of this.harts) nextNs = Math.min(nextNs, this.wakingTimer(hart));
    const target = Math.min(nextNs, untilNs);
    if (target !== Infinity) for (const hart of this.harts) skipTo(hart, target);
    if (nextNs > untilNs || nextNs === Infinity) {
      return { kind: "idle", nextEventNs: nextNs === Infinity ? undefined : nextNs };
    }
    this.fireEvents(nextNs);
    return undefined;
  }

  /** The time that the hart that is furthest ahead has reached. */
  private latestNs(): number {
    return Math.max(...this.harts.map((hart) => hart.registers.timeNs));
  }

  /** When the hart's own timer would end its wait. */
  private wakingTimer(hart: HartCore): number {
    return (hart.registers.get(CELL.mie) & 32) !== 0 ? hart.timerDueNs : Infinity;
  }

  /** Fires the events due by `now`; whether there were any. */
  private fireEvents(now: number): boolean {
    let fired = false;
    for (let event = this.events[0]; event !== undefined && event.atNs <= now; event = this.events[0]) {
      this.events.shift();
      fired = true;
      const { device: name, tag, atNs } = event;
      this.bus.devices.find((device) => device.name === name)?.onEvent?.(tag, atNs);
    }
    return fired;
  }

  private switchTo(hart: HartCore): void {
    const from = this.running;
    if (from === hart) return;
    from.registers.set(CELL.reservation, 0);
    this.bytes.copyWithin(savedWindow(from.id), 0, WINDOW_SIZE);
    from.registers.base = savedWindow(from.id);
    this.bytes.copyWithin(0, savedWindow(hart.id), savedWindow(hart.id) + WINDOW_SIZE);
    hart.registers.base = 0;
    this.running = hart;
  }

  /** An interrupt line changed. A hart that waited begins again now, not in its past. */
  private setInterrupt(hartId: number, bit: number, level: boolean): void {
    const hart = this.harts[hartId];
    if (hart === undefined) return;
    if (level && hart !== this.running && hart.waiting) skipTo(hart, this.timeNs);
    hart.setInterruptPending(bit, level);
  }

  onTimerChanged(hart: HartCore): void {
    if (hart === this.running) this.shortenTo(hart.timerDueNs);
  }

  /** Takes fuel from the running hart, so that it comes back for what is due at `atNs`. */
  private shortenTo(atNs: number): void {
    const { registers } = this.running;
    const left = Math.max(0, Math.ceil(atNs - registers.timeNs));
    if (left < registers.fuel) registers.setFuel(left);
  }
}

/** Lets a waiting hart's time pass, up to `atNs`. */
function skipTo(hart: HartCore, atNs: number): void {
  const { registers } = hart;
  const behind = atNs - registers.timeNs;
  if (behind > 0) registers.setDouble(CELL.idleNs, registers.getDouble(CELL.idleNs) + behind);
}
