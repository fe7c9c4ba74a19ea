/**
 * The I/O APIC: device interrupts to local APICs.
 *
 *     pin n ──> redirection entry n: masked? ──> message: vector, delivery mode, destination ──> local APICs
 *                    level-triggered: the pin is silent from the message until EOI of its vector (remote IRR)
 *
 *   +0x00 register select     index 0 id    1 version    2 arbitration
 *   +0x10 window              index 0x10 + 2n, 0x11 + 2n: entry n, low and high word
 *   +0x40 EOI of a vector
 *
 * Intel 82093AA data sheet (1996), section 3; the EOI register came with version 0x20 (ICH2 data sheet, I/O APIC). Lines are driven as
 * "asserted" or not, so that polarity is only kept. An edge on a masked pin is lost. A line may be levels, edges or both, as a shared
 * wire is: on a level-triggered pin an edge that comes while the pin is silent is remembered until it is not. What no local APIC takes is
 * offered again.
 */
import type { AccessSize, BusWord, Device } from "../../bus.ts";
import { MESSAGE, readMessage, type InterruptMessage } from "./message.ts";

export const ioApicPins = 24;

const VERSION = 0x20 | ((ioApicPins - 1) << 16);
const FIRST_ENTRY = 0x10;
const REGISTER = { select: 0x00, window: 0x10, endOfInterrupt: 0x40 } as const;
const ENTRY = { REMOTE_IRR: 1 << 14, MASKED: 1 << 16 } as const;
/** All but the delivery status and remote IRR, which are read-only. */
const ENTRY_WRITABLE = 0x1afff;

export interface IoApicState {
  id: number;
  selected: number;
  /** By pin: the low word of its entry, and its destination. */
  readonly entries: number[];
  readonly destinations: number[];
  /** Bit sets over pins: the level of the wire, and edges that are still to be told. */
  levels: number;
  edges: number;
}

export interface IoApic extends Device {
  readonly state: IoApicState;
  /** Drives the wire of a pin. */
  setLevel(pin: number, level: boolean): void;
  /** An edge on the wire of a pin. */
  pulse(pin: number): void;
  /** A hart is done with a level-triggered interrupt of that vector. */
  endOfInterrupt(vector: number): void;
  /** Offers again what no local APIC took. */
  retry(): void;
}

export interface IoApicOptions {
  readonly base: number;
  /** Takes a message to the local APICs; whether one of them took it. */
  readonly send: (message: InterruptMessage) => boolean;
}

export function createIoApic({ base, send }: IoApicOptions): IoApic {
  const state: IoApicState = {
    id: 0,
    selected: 0,
    entries: Array<number>(ioApicPins).fill(ENTRY.MASKED),
    destinations: Array<number>(ioApicPins).fill(0),
    levels: 0,
    edges: 0,
  };

  /** Tells of a pin what there is to tell. */
  const service = (pin: number): void => {
    const entry = state.entries[pin] ?? ENTRY.MASKED;
    const bit = 1 << pin;
    const isLevel = (entry & MESSAGE.LEVEL) !== 0;
    if ((entry & ENTRY.MASKED) !== 0) {
      if (!isLevel) state.edges &= ~bit;
      return;
    }
    const isAsserted = (state.edges & bit) !== 0 || (isLevel && (state.levels & bit) !== 0);
    if (!isAsserted || (isLevel && (entry & ENTRY.REMOTE_IRR) !== 0)) return;
    const message = readMessage(entry, state.destinations[pin] ?? 0);
    const isTaken = message !== undefined && send(message);
    if (!isTaken) return;
    state.edges &= ~bit;
    if (isLevel) state.entries[pin] = entry | ENTRY.REMOTE_IRR;
  };

  const endOfInterrupt = (vector: number): void => {
    state.entries.forEach((entry, pin) => {
      if ((entry & 0xff) !== vector || (entry & ENTRY.REMOTE_IRR) === 0) return;
      state.entries[pin] = entry & ~ENTRY.REMOTE_IRR;
      service(pin);
    });
  };

  const loadSelected = (): number => {
    const { selected } = state;
    if (selected === 0 || selected === 2) return state.id << 24;
    if (selected === 1) return VERSION;
    const pin = (selected - FIRST_ENTRY) >> 1;
    return ((selected & 1) === 0 ? state.entries[pin] : (state.destinations[pin] ?? 0) << 24) ?? 0;
  };

  const storeSelected = (value: number): void => {
    const { selected } = state;
    if (selected === 0) state.id = (value >>> 24) & 15;
    const pin = (selected - FIRST_ENTRY) >> 1;
    if (pin < 0 || pin >= ioApicPins) return;
    if ((selected & 1) === 1) {
      state.destinations[pin] = value >>> 24;
      return;
    }
    // Remote IRR has a meaning for levels only.
    const kept = (value & MESSAGE.LEVEL) !== 0 ? (state.entries[pin] ?? 0) & ENTRY.REMOTE_IRR : 0;
    state.entries[pin] = (value & ENTRY_WRITABLE) | kept;
    service(pin);
  };

  return {
    name: "io-apic",
    base,
    size: 0x1000,
    state,
    load(offset: number, size: AccessSize, out: BusWord): boolean {
      if (size < 4) return false;
      out.lo = offset === REGISTER.select ? state.selected : offset === REGISTER.window ? loadSelected() : 0;
      out.hi = 0;
      return true;
    },
    store(offset: number, size: AccessSize, lo: number): boolean {
      // Some drivers select with a byte.
      if (offset === REGISTER.select) state.selected = lo & 0xff;
      else if (size < 4) return false;
      else if (offset === REGISTER.window) storeSelected(lo);
      else if (offset === REGISTER.endOfInterrupt) endOfInterrupt(lo & 0xff);
      return true;
    },
    setLevel(pin: number, level: boolean): void {
      const bit = 1 << pin;
      if (level === ((state.levels & bit) !== 0)) return;
      state.levels ^= bit;
      const isLevelTriggered = ((state.entries[pin] ?? 0) & MESSAGE.LEVEL) !== 0;
      if (level && !isLevelTriggered) state.edges |= bit;
      if (level) service(pin);
    },
    pulse(pin: number): void {
      state.edges |= 1 << pin;
      service(pin);
    },
    endOfInterrupt,
    retry(): void {
      for (let pin = 0; pin < ioApicPins; pin++) service(pin);
    },
  };
}
