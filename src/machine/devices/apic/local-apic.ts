/**
 * The local APICs of all harts: one window of physical addresses, in which each hart sees its own.
 *
 *     I/O APIC, other harts ── message ──> IRR ── highest, above the processor priority ──> INTR ──> the hart
 *     timer, errors         ── entry of the vector table ──^      acknowledge: IRR -> ISR      EOI: out of ISR
 *
 *   +0x020 id            +0x0d0 logical destination   +0x280 error status        +0x370 vector table: error
 *   +0x030 version       +0x0e0 destination format    +0x300 interrupt command   +0x380 timer: initial count
 *   +0x080 task priority +0x0f0 spurious vector       +0x310   destination       +0x390   current count
 *   +0x0a0 processor     +0x100 ISR (8)               +0x320 vector table: timer +0x3e0   divide configuration
 *          priority      +0x180 TMR (8)               +0x330   thermal, +0x340 performance counters
 *   +0x0b0 EOI           +0x200 IRR (8)               +0x350   LINT0, +0x360 LINT1
 *
 * Intel SDM volume 3, chapter "Advanced programmable interrupt controller". Registers are 32 bits wide, 16 bytes apart. There is no
 * x2APIC mode; nothing is wired to LINT0 and LINT1, and there are no thermal and performance interrupts, so that their entries of the
 * vector table are only kept. Messages arrive at once, so the delivery status bits read 0.
 */
import type { AccessSize, BusWord, Device, DeviceServices } from "../../bus.ts";
import { REQUEST, type LocalApicPort } from "../../x86_64/local-apic-port.ts";
import { isLogicalTarget, isPhysicalTarget, readMessage, type InterruptMessage } from "./message.ts";
import {
  currentCount,
  resetTimer,
  restart,
  setDivide,
  setInitialCount,
  setMode,
  timerModeOf,
  type TimerState,
} from "./timer.ts";
import { addVector, emptyVectors, hasVector, highestVector, removeVector, type VectorSet } from "./vectors.ts";

/** Six entries of the vector table; of a type that is integrated in the processor. */
const VERSION = 0x50014;
/** Entries of the vector table, in the order of their registers. */
const ENTRY = { timer: 0, thermal: 1, performance: 2, lint0: 3, lint1: 4, error: 5 } as const;
const ENTRIES = 6;
const ENTRY_MASKED = 1 << 16;
/** What can be written of each entry: vector, mask; timer mode; delivery mode, polarity, trigger. */
const ENTRY_WRITABLE = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff] as const;
const SPURIOUS_ENABLE = 1 << 8;
const SPURIOUS_WRITABLE = 0x3ff;
/** Error status. */
const ERROR = { sendIllegalVector: 1 << 5, receiveIllegalVector: 1 << 6, illegalRegister: 1 << 7 } as const;
/** The interrupt command register: level is "assert"; who is meant. */
const COMMAND = { ASSERT: 1 << 14, WRITABLE: 0xccfff } as const;
const SHORTHAND = { self: 1, all: 2, others: 3 } as const;
/** Vectors below are reserved for exceptions. */
const FIRST_VECTOR = 16;

interface LocalApicState {
  /** IA32_APIC_BASE bit 11. */
  isOn: boolean;
  taskPriority: number;
  /** The logical id, and the destination format: all ones is flat. */
  logicalId: number;
  destinationFormat: number;
  spurious: number;
  readonly inService: VectorSet;
  readonly levelTriggered: VectorSet;
  readonly requested: VectorSet;
  /** Errors since the error status was last written, and what that write showed. */
  newErrors: number;
  shownErrors: number;
  command: number;
  commandDestination: number;
  readonly entries: number[];
  readonly timer: TimerState;
  /** The vector of the last start-up message. */
  startVector: number;
  /** The level of INTR. */
  isInterrupting: boolean;
}

export interface LocalApicsState {
  /** By hart. */
  readonly apics: LocalApicState[];
}

export interface LocalApics extends Device {
  readonly state: LocalApicsState;
  /** What the hart asks of its own. */
  port(hart: number): LocalApicPort;
  /** A message to whom its destination names; whether one of them took it. */
  deliver(message: InterruptMessage): boolean;
}

export interface LocalApicsOptions {
  readonly base: number;
  readonly harts: number;
  readonly services: DeviceServices;
  /** A level-triggered interrupt of that vector has been dealt with. */
  readonly endOfInterrupt: (vector: number) => void;
  /** An APIC has begun to take interrupts. */
  readonly onEnabled: () => void;
}

/** One register, or nothing where an access is an error. */
interface Register {
  readonly load?: (apic: LocalApicState, hart: number) => number;
  readonly store?: (apic: LocalApicState, value: number, hart: number) => void;
}

export function createLocalApics({ base, harts, services, endOfInterrupt, onEnabled }: LocalApicsOptions): LocalApics {
  const name = "local-apic";
  const state: LocalApicsState = { apics: Array.from({ length: harts }, resetApic) };

  // --- Pending and in service --------------------------------------------------------------------------------------

  /** Drives INTR after a change. */
  const update = (apic: LocalApicState, hart: number): void => {
    const isInterrupting = deliverable(apic) >= 0;
    if (isInterrupting === apic.isInterrupting) return;
    apic.isInterrupting = isInterrupting;
    services.setInterrupt(hart, REQUEST.INTR, isInterrupting);
  };

  /** An interrupt arrives; false where this APIC does not take it. */
  const accept = (apic: LocalApicState, hart: number, vector: number, isLevel: boolean): boolean => {
    if (!isEnabled(apic)) return false;
    if (vector < FIRST_VECTOR) {
      noteError(apic, hart, ERROR.receiveIllegalVector);
      return false;
    }
    addVector(apic.requested, vector);
    if (isLevel) addVector(apic.levelTriggered, vector);
    else removeVector(apic.levelTriggered, vector);
    update(apic, hart);
    return true;
  };

  const acceptEntry = (apic: LocalApicState, hart: number, index: number): void => {
    const entry = apic.entries[index] ?? ENTRY_MASKED;
    if ((entry & ENTRY_MASKED) === 0) accept(apic, hart, entry & 0xff, false);
  };

  function noteError(apic: LocalApicState, hart: number, error: number): void {
    apic.newErrors |= error;
    // Of an entry whose own vector is illegal nothing more is to be said.
    if (((apic.entries[ENTRY.error] ?? 0) & 0xff) >= FIRST_VECTOR) acceptEntry(apic, hart, ENTRY.error);
  }

  const finish = (apic: LocalApicState, hart: number): void => {
    const vector = highestVector(apic.inService);
    if (vector < 0) return;
    removeVector(apic.inService, vector);
    update(apic, hart);
    if (hasVector(apic.levelTriggered, vector)) endOfInterrupt(vector);
  };

  // --- Messages ----------------------------------------------------------------------------------------------------

  const deliverTo = (targets: readonly number[], message: InterruptMessage): boolean => {
    if (message.delivery === "lowest") {
      const chosen = lowestPriority(targets.filter((hart) => isEnabled(apicOf(hart))));
      return chosen !== undefined && accept(apicOf(chosen), chosen, message.vector, message.isLevel);
    }
    let isTaken = false;
    for (const hart of targets) if (deliverToOne(hart, message)) isTaken = true;
    return isTaken;
  };

  const deliverToOne = (hart: number, { delivery, vector, isLevel }: InterruptMessage): boolean => {
    const apic = apicOf(hart);
    if (!apic.isOn) return false;
    switch (delivery) {
      case "fixed":
        return accept(apic, hart, vector, isLevel);
      case "nmi":
        services.setInterrupt(hart, REQUEST.NMI, true);
        return true;
      case "init":
        reset(apic, hart);
        services.setInterrupt(hart, REQUEST.INIT, true);
        // A start-up message counts from here on: the two may come before the hart has looked at either.
        services.setInterrupt(hart, REQUEST.SIPI, false);
        return true;
      case "startup":
        apic.startVector = vector;
        services.setInterrupt(hart, REQUEST.SIPI, true);
        return true;
      default:
        // No system management mode, and no 8259 to ask for a vector.
        return false;
    }
  };

  /** The one that does the least important work; of several the first. */
  const lowestPriority = (candidates: readonly number[]): number | undefined =>
    candidates.toSorted((a, b) => processorPriority(apicOf(a)) - processorPriority(apicOf(b)))[0];

  const allHarts = Array.from({ length: harts }, (_, hart) => hart);

  const targetsOf = ({ destination, isLogical }: InterruptMessage): number[] =>
    allHarts.filter((hart) => {
      if (!isLogical) return isPhysicalTarget(hart, destination);
      const { logicalId, destinationFormat } = apicOf(hart);
      return isLogicalTarget(logicalId, destinationFormat >>> 28 === 15 ? "flat" : "cluster", destination);
    });

  /** The low word of the interrupt command register was written: the message goes out. */
  const send = (apic: LocalApicState, hart: number): void => {
    const { command } = apic;
    const message = readMessage(command, apic.commandDestination);
    if (message === undefined) return;
    const { delivery, vector } = message;
    // "INIT level de-assert" only synchronizes arbitration, which there is none of.
    if (delivery === "init" && (command & COMMAND.ASSERT) === 0) return;
    if ((delivery === "fixed" || delivery === "lowest") && vector < FIRST_VECTOR) {
      noteError(apic, hart, ERROR.sendIllegalVector);
      return;
    }
    // Trigger and level count for INIT only: what harts send each other are edges.
    deliverTo(commandTargets(hart, (command >>> 18) & 3, message), { ...message, isLevel: false });
  };

  const commandTargets = (hart: number, shorthand: number, message: InterruptMessage): readonly number[] => {
    switch (shorthand) {
      case SHORTHAND.self:
        return [hart];
      case SHORTHAND.all:
        return allHarts;
      case SHORTHAND.others:
        return allHarts.filter((other) => other !== hart);
      default:
        return targetsOf(message);
    }
  };

  // --- Timer -------------------------------------------------------------------------------------------------------

  const scheduleTimer = ({ timer }: LocalApicState, hart: number): void => {
    if (timer.dueNs === undefined) services.cancel(name, hart);
    else services.schedule(timer.dueNs, name, hart);
  };

  // --- Registers ---------------------------------------------------------------------------------------------------

  const writeEntry = (apic: LocalApicState, index: number, value: number, hart: number): void => {
    const masked = isEnabled(apic) ? 0 : ENTRY_MASKED;
    apic.entries[index] = (value & (ENTRY_WRITABLE[index] ?? 0)) | masked;
    if (index !== ENTRY.timer) return;
    setMode(apic.timer, timerModeOf(value));
    scheduleTimer(apic, hart);
  };

  const writeSpurious = (apic: LocalApicState, value: number, hart: number): void => {
    const wasEnabled = isEnabled(apic);
    apic.spurious = value & SPURIOUS_WRITABLE;
    // "The mask bits for all the LVT entries are set", and cannot be cleared, while the APIC is disabled by software.
    if (!isEnabled(apic)) apic.entries.forEach((entry, index) => (apic.entries[index] = entry | ENTRY_MASKED));
    update(apic, hart);
    if (!wasEnabled && isEnabled(apic)) onEnabled();
  };

  const entry = (index: number): Register => ({
    load: (apic) => apic.entries[index] ?? 0,
    store: (apic, value, hart) => writeEntry(apic, index, value, hart),
  });
  const vectors = (first: number, of: (apic: LocalApicState) => VectorSet): [number, Register][] =>
    Array.from({ length: 8 }, (_, word) => [first + word * 16, { load: (apic) => of(apic)[word] ?? 0 }]);

  const registers: ReadonlyMap<number, Register> = new Map<number, Register>([
    [0x20, { load: (_, hart) => hart << 24, store: () => {} }],
    [0x30, { load: () => VERSION }],
    [
      0x80,
      {
        load: (apic) => apic.taskPriority,
        store: (apic, value, hart) => {
          apic.taskPriority = value & 0xff;
          update(apic, hart);
        },
      },
    ],
    [0x90, { load: () => 0 }],
    [0xa0, { load: processorPriority }],
    [0xb0, { load: () => 0, store: (apic, _, hart) => finish(apic, hart) }],
    [0xd0, { load: (apic) => apic.logicalId << 24, store: (apic, value) => void (apic.logicalId = value >>> 24) }],
    [
      0xe0,
      {
        load: (apic) => apic.destinationFormat,
        store: (apic, value) => void (apic.destinationFormat = value | 0xfffffff),
      },
    ],
    [0xf0, { load: (apic) => apic.spurious, store: writeSpurious }],
    ...vectors(0x100, (apic) => apic.inService),
    ...vectors(0x180, (apic) => apic.levelTriggered),
    ...vectors(0x200, (apic) => apic.requested),
    [
      0x280,
      {
        load: (apic) => apic.shownErrors,
        store: (apic) => {
          apic.shownErrors = apic.newErrors;
          apic.newErrors = 0;
        },
      },
    ],
    [
      0x300,
      {
        load: (apic) => apic.command,
        store: (apic, value, hart) => {
          apic.command = value & COMMAND.WRITABLE;
          send(apic, hart);
        },
      },
    ],
    [
      0x310,
      {
        load: (apic) => apic.commandDestination << 24,
        store: (apic, value) => void (apic.commandDestination = value >>> 24),
      },
    ],
    ...Array.from({ length: ENTRIES }, (_, index): [number, Register] => [0x320 + index * 16, entry(index)]),
    [
      0x380,
      {
        load: (apic) => apic.timer.initialCount,
        store: (apic, value, hart) => {
          setInitialCount(apic.timer, value >>> 0, services.timeNs());
          scheduleTimer(apic, hart);
        },
      },
    ],
    [0x390, { load: (apic) => currentCount(apic.timer, services.timeNs()) }],
    [
      0x3e0,
      {
        load: (apic) => apic.timer.divide,
        store: (apic, value, hart) => {
          setDivide(apic.timer, value, services.timeNs());
          scheduleTimer(apic, hart);
        },
      },
    ],
  ]);

  const loadWord = (offset: number): number => {
    const hart = services.runningHart();
    const apic = apicOf(hart);
    const register = registers.get(offset & -16);
    if (register?.load === undefined) noteError(apic, hart, ERROR.illegalRegister);
    return (offset & 12) === 0 ? (register?.load?.(apic, hart) ?? 0) : 0;
  };

  const storeWord = (offset: number, value: number): void => {
    if ((offset & 15) !== 0) return;
    const hart = services.runningHart();
    const apic = apicOf(hart);
    const register = registers.get(offset);
    if (register?.store === undefined) noteError(apic, hart, ERROR.illegalRegister);
    else register.store(apic, value, hart);
  };

  // --- Harts -------------------------------------------------------------------------------------------------------

  const apicOf = (hart: number): LocalApicState => {
    const apic = state.apics[hart];
    if (apic === undefined) throw new RangeError(`no local APIC of hart ${hart}`);
    return apic;
  };

  function reset(apic: LocalApicState, hart: number): void {
    const { isOn, isInterrupting, startVector } = apic;
    Object.assign(apic, resetApic(), { isOn, isInterrupting, startVector });
    scheduleTimer(apic, hart);
    update(apic, hart);
  }

  const port = (hart: number): LocalApicPort => ({
    pendingVector: () => deliverable(apicOf(hart)),
    acknowledge(vector) {
      const apic = apicOf(hart);
      removeVector(apic.requested, vector);
      addVector(apic.inService, vector);
      update(apic, hart);
    },
    startVector: () => apicOf(hart).startVector,
    taskPriority: () => apicOf(hart).taskPriority >> 4,
    setTaskPriority(priority) {
      const apic = apicOf(hart);
      apic.taskPriority = (priority & 15) << 4;
      update(apic, hart);
    },
    deadlineNs() {
      const { timer } = apicOf(hart);
      return timer.mode === "deadline" ? timer.dueNs : undefined;
    },
    setDeadlineNs(atNs) {
      const apic = apicOf(hart);
      if (apic.timer.mode !== "deadline") return;
      // What has passed comes due at once, not at the hart's next check point.
      const isDue = atNs !== undefined && atNs <= services.timeNs();
      apic.timer.dueNs = isDue ? undefined : atNs;
      scheduleTimer(apic, hart);
      if (isDue) acceptEntry(apic, hart, ENTRY.timer);
    },
    setGlobalEnable(isOn) {
      const apic = apicOf(hart);
      if (apic.isOn === isOn) return;
      apic.isOn = isOn;
      reset(apic, hart);
    },
  });

  return {
    name,
    base,
    size: 0x1000,
    state,
    load(offset: number, size: AccessSize, out: BusWord): boolean {
      if (!apicOf(services.runningHart()).isOn) return false;
      const word = loadWord(offset & -4);
      out.lo = size < 4 ? (word >>> ((offset & 3) * 8)) & (size === 1 ? 0xff : 0xffff) : word;
      out.hi = 0;
      return true;
    },
    store(offset: number, size: AccessSize, lo: number): boolean {
      if (!apicOf(services.runningHart()).isOn) return false;
      // "All 32-bit registers should be accessed using 32-bit loads and stores": a narrower store is lost.
      if (size >= 4) storeWord(offset, lo);
      return true;
    },
    onEvent(hart: number, atNs: number): void {
      const apic = apicOf(hart);
      if (apic.timer.dueNs === undefined) return;
      restart(apic.timer, atNs);
      scheduleTimer(apic, hart);
      acceptEntry(apic, hart, ENTRY.timer);
    },
    onRestore(): void {
      state.apics.forEach((apic, hart) => {
        scheduleTimer(apic, hart);
        services.setInterrupt(hart, REQUEST.INTR, apic.isInterrupting);
      });
    },
    port,
    deliver: (message) => deliverTo(targetsOf(message), message),
  };
}

function resetApic(): LocalApicState {
  return {
    isOn: true,
    taskPriority: 0,
    logicalId: 0,
    destinationFormat: -1,
    spurious: 0xff,
    inService: emptyVectors(),
    levelTriggered: emptyVectors(),
    requested: emptyVectors(),
    newErrors: 0,
    shownErrors: 0,
    command: 0,
    commandDestination: 0,
    entries: Array<number>(ENTRIES).fill(ENTRY_MASKED),
    timer: resetTimer(),
    startVector: 0,
    isInterrupting: false,
  };
}

/** Whether it takes interrupts: on, and not disabled by software. */
function isEnabled(apic: LocalApicState): boolean {
  return apic.isOn && (apic.spurious & SPURIOUS_ENABLE) !== 0;
}

/** SDM volume 3, "Task and processor priorities": the higher of the task's and that of what is in service. */
function processorPriority(apic: LocalApicState): number {
  const serving = Math.max(0, highestVector(apic.inService)) & 0xf0;
  return apic.taskPriority >= serving ? apic.taskPriority : serving;
}

/** The vector that the hart is to take: the highest requested, if its class is above the processor priority's; else -1. */
function deliverable(apic: LocalApicState): number {
  if (!isEnabled(apic)) return -1;
  const vector = highestVector(apic.requested);
  return vector >> 4 > processorPriority(apic) >> 4 ? vector : -1;
}
