/**
 * Makes a machine, and runs it: the loop that shares virtual time among harts and events.
 *
 *     run:  fire the events that are due  ->  of the harts that do not wait, the one that is furthest behind
 *           ->  execute it for a quantum, but not past the next event or the limit  ->  again
 *
 * A hart that works and that another one interrupts is called: the caller's turn ends, and the called hart goes first, ahead of those that
 * are behind it by less than a quantum, for a short turn. A waiting hart that it interrupts in that turn is called too: so a request and its
 * answer take some hundred instructions, and not everybody's quantum.
 *
 * The running hart's registers are in the window at address 0; changing harts swaps windows and drops the reservation.
 */
import { createMemory } from "../wasm/engine.ts";
import type { Bus, Device, DeviceServices, HaltReason } from "./bus.ts";
import { DEFAULT_HOTNESS, Sampler } from "./engine/hotness.ts";
import { TranslationCheck } from "./engine/translation-check.ts";
import { layOut, MAX_HARTS, savedWindow, WINDOW_SIZE } from "./engine/layout.ts";
import { cancelEvent, scheduleEvent, type PendingEvent } from "./events.ts";
import type { Hart } from "./hart.ts";
import type { KernelBinding, Machine, MachineOptions, MachineProbes, RunLimit, StopReason } from "./machine.ts";
import type { Engine, EngineHart, EngineMachine, Tier } from "./processor.ts";
import { Ram } from "./ram.ts";
import { createBus } from "./system-bus.ts";

/** Instructions that a hart runs before another has its turn; alone, before the interpreter returns to pick up better code. */
const QUANTUM = 10_000;
const QUANTUM_ALONE = 1_000_000;
/** Instructions that the caller has left, and that a hart which was called out of its work gets at once: enough to serve an interrupt. */
const CALL_QUANTUM = 200;

export function createMachine<H extends Hart>(options: MachineOptions<H>): Machine<H> {
  return new RunnableMachine(options);
}

class RunnableMachine<H extends Hart> implements Machine<H>, EngineMachine {
  readonly ram: Ram;
  readonly bus: Bus;
  readonly harts: readonly (H & EngineHart)[];
  readonly services: DeviceServices;
  readonly probes: MachineProbes = {};
  readonly translationCheck: TranslationCheck | undefined;
  kernel: KernelBinding | undefined;
  isLeaving = false;
  private readonly bytes: Uint8Array;
  private readonly tier: Tier;
  private readonly engine: Engine<H>;
  private readonly sampler: Sampler;
  /** Instructions until the machine goes over to the fastest interpreter. */
  private joinsAt: number;
  private readonly events: PendingEvent[] = [];
  /** By hart: instructions of the turn that it was called to; 0: it was not called. */
  private readonly calls: number[];
  /** The present turn is one to which a hart was called out of its work. */
  private isAnswering = false;
  private running: H & EngineHart;
  private isRunning = false;
  private halted: { reason: HaltReason; status: number } | undefined;
  private isStopRequested = false;
  private isPauseRequested = false;

  constructor(options: MachineOptions<H>) {
    const { processor, ramBase, ramSize } = options;
    if (!(Number.isInteger(options.harts) && options.harts >= 1 && options.harts <= MAX_HARTS)) {
      throw new RangeError(`a machine has 1 to ${MAX_HARTS} harts, not ${options.harts}`);
    }
    if (!(ramSize > 0 && ramSize % 4096 === 0 && ramBase >= 0 && ramBase % 4096 === 0)) {
      throw new RangeError("RAM consists of whole pages");
    }
    const layout = layOut(options.harts, ramSize, processor.codeBytes(ramSize, options.codePages));
    const memory = createMemory(layout.pages);
    this.bytes = new Uint8Array(memory.buffer);
    this.tier = options.tier ?? "run";
    this.ram = new Ram(memory.buffer, layout.ram, ramBase, ramSize);
    this.bus = createBus(this.ram);
    const { onStaleTranslation } = options;
    if (onStaleTranslation !== undefined) this.translationCheck = new TranslationCheck(this.ram, onStaleTranslation);
    this.engine = processor.createEngine(this, memory, layout);
    this.ram.trackCode(this.translationCheck?.track(this.engine.code) ?? this.engine.code);
    this.harts = this.engine.harts;
    this.calls = this.harts.map(() => 0);
    // There is at least one hart.
    this.running = this.harts[0] as H & EngineHart;
    this.sampler = new Sampler(options.hotness ?? DEFAULT_HOTNESS);
    this.joinsAt = options.joinAfter ?? 0;
    if (this.joinsAt === 0) this.join();
    else this.engine.useInterpreter("soonest");
    this.engine.reset(options.resetPc ?? ramBase);
    this.services = {
      memory: this.ram,
      timeNs: () => this.timeNs,
      schedule: (atNs, device, tag) => {
        scheduleEvent(this.events, { atNs, device, tag });
        this.shortenTo(atNs);
      },
      cancel: (device, tag) => cancelEvent(this.events, device, tag),
      setInterrupt: (hart, line, level) => this.setInterrupt(hart, line, level),
      runningHart: () => this.running.id,
      halt: (reason, status) => this.halt(reason, status),
    };
  }

  private halt(reason: HaltReason, status: number): void {
    this.halted = { reason, status };
    this.isLeaving = true;
  }

  fail(status: number): void {
    this.halt("failure", status);
  }

  /** Goes over to the fastest interpreter. */
  private join(): void {
    this.joinsAt = Infinity;
    this.engine.useInterpreter("fastest");
  }

  /** Notes where a hart was preempted, which is mostly the head of a loop, and translates what was found hot. */
  private sample(hart: EngineHart, spent: number): void {
    if (!this.sampler.add(hart, spent)) return;
    const hot = this.sampler.take();
    if (hot.length > 0) this.engine.translate(hot);
  }

  get memory(): Ram {
    return this.ram;
  }

  get timeNs(): number {
    return this.running.timeNs;
  }

  attach(device: Device): void {
    this.bus.attach(device);
  }

  attachPorts(device: Device): void {
    this.bus.ports.attach(device);
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
      const now = hart.timeNs;
      if (this.fireEvents(now)) continue;
      if (now >= untilNs) return { kind: "budget" };
      this.switchTo(hart);
      hart.refreshTimer();
      const call = this.calls[hart.id] ?? 0;
      this.calls[hart.id] = 0;
      this.isAnswering = call === CALL_QUANTUM;
      const turn = this.harts.length === 1 ? QUANTUM_ALONE : call === 0 ? QUANTUM : call;
      const quantum = Math.min(turn, this.sampler.quantum);
      const horizon = Math.min(this.events[0]?.atNs ?? Infinity, hart.timerNs, untilNs) - now;
      // A limit must not cut a turn short where another hart could have the next: the order of turns would depend on the limit.
      const share = this.harts.length === 1 ? left : Infinity;
      const fuel = Math.max(1, Math.min(quantum, share, Math.ceil(horizon)));
      hart.execute(fuel, this.tier);
      const spent = hart.timeNs - now;
      left -= spent;
      this.joinsAt -= spent;
      if (this.joinsAt <= 0) this.join();
      if (this.tier === "run" && this.joinsAt === Infinity) this.sample(hart, spent);
    }
  }

  /**
   * The hart that is furthest behind, of those that do not wait; a waiting hart with an interrupt to wake it does not. One that was
   * called goes before it, unless it is too far ahead.
   */
  private nextHart(): (H & EngineHart) | undefined {
    let next: (H & EngineHart) | undefined;
    let called: (H & EngineHart) | undefined;
    for (const hart of this.harts) {
      if (hart.waiting && !hart.wake()) continue;
      if (next === undefined || hart.timeNs < next.timeNs) next = hart;
      const isCalled = this.calls[hart.id] !== 0;
      if (isCalled && (called === undefined || hart.timeNs < called.timeNs)) called = hart;
    }
    if (called === undefined || next === undefined) return next;
    return called.timeNs - next.timeNs <= QUANTUM ? called : next;
  }

  /** All harts wait: time goes on to the next event or timer. Returns when there is none before `untilNs`. */
  private skipIdle(untilNs: number): StopReason | undefined {
    let nextNs = this.events[0]?.atNs ?? Infinity;
    for (const hart of this.harts) nextNs = Math.min(nextNs, hart.wakingTimerNs);
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
    return Math.max(...this.harts.map((hart) => hart.timeNs));
  }

  /** Fires the events due by `now`; whether there were any. */
  private fireEvents(now: number): boolean {
    let fired = false;
    for (let event = this.events[0]; event !== undefined && event.atNs <= now; event = this.events[0]) {
      this.events.shift();
      fired = true;
      const { device: name, tag, atNs } = event;
      this.findDevice(name)?.onEvent?.(tag, atNs);
    }
    return fired;
  }

  private findDevice(name: string): Device | undefined {
    const { devices, ports } = this.bus;
    return devices.find((device) => device.name === name) ?? ports.devices.find((device) => device.name === name);
  }

  private switchTo(hart: H & EngineHart): void {
    const from = this.running;
    if (from === hart) return;
    this.bytes.copyWithin(savedWindow(from.id), 0, WINDOW_SIZE);
    from.moveWindow(savedWindow(from.id));
    this.bytes.copyWithin(0, savedWindow(hart.id), savedWindow(hart.id) + WINDOW_SIZE);
    hart.moveWindow(0);
    this.running = hart;
    this.engine.setRunning(hart);
  }

  /** An interrupt line changed. A hart that waited begins again now, not in its past. */
  private setInterrupt(hartId: number, line: number, level: boolean): void {
    const hart = this.harts[hartId];
    if (hart === undefined) return;
    if (level && hart !== this.running) this.call(hart);
    hart.setInterruptPending(line, level);
  }

  private call(hart: H & EngineHart): void {
    if (hart.waiting) {
      skipTo(hart, this.timeNs);
      if (this.isAnswering) this.calls[hart.id] = QUANTUM;
    } else {
      this.calls[hart.id] = CALL_QUANTUM;
      this.shortenTo(this.timeNs + CALL_QUANTUM);
    }
  }

  returnBy(hart: Hart, atNs: number): void {
    if (hart === this.running) this.shortenTo(atNs);
  }

  /** Takes fuel from the running hart, so that it comes back for what is due at `atNs`. */
  private shortenTo(atNs: number): void {
    const { running } = this;
    const left = Math.max(0, Math.ceil(atNs - running.timeNs));
    if (left < running.fuel) running.setFuel(left);
  }
}

/** Lets a waiting hart's time pass, up to `atNs`. */
function skipTo(hart: EngineHart, atNs: number): void {
  const behind = atNs - hart.timeNs;
  if (behind > 0) hart.passTime(behind);
}
