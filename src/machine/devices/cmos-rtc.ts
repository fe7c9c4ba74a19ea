/**
 * The real-time clock of a PC and its CMOS memory: an index port and a data port.
 *
 *   port +0   index (bit 7 masks NMIs on a PC; nothing here)
 *   port +1   0x00 seconds   0x04 hours         0x08 month     0x0a A: update in progress (never), divider, rate
 *             0x02 minutes   0x06 day of week   0x09 year      0x0b B: set, binary, 24 hours
 *             0x01, 0x03, 0x05 alarm            0x32 century   0x0c C: interrupt flags    0x0d D: battery is good
 *             0x07 day of month                 the rest       memory
 *
 * Motorola MC146818A data sheet (1984); the century is where the ACPI specification's FADT and most PCs have it. The clock is the
 * moment of boot plus virtual time, and cannot be set. It interrupts nobody: the local APIC has a better timer.
 */
import type { AccessSize, BusWord, Device, DeviceServices } from "../bus.ts";

const STATUS_A = 0x0a;
const STATUS_B = 0x0b;
const STATUS_C = 0x0c;
const STATUS_D = 0x0d;
/** 32768 Hz, and the slowest useful rate. */
const A_RESET = 0x26;
const B = { BINARY: 1 << 2, HOURS_24: 1 << 1 } as const;
const D_VALID = 0x80;
const PM = 0x80;

export interface CmosState {
  /** Seconds since the epoch at virtual time 0. */
  readonly bootSeconds: number;
  index: number;
  /** 128 bytes; those of the clock are computed instead. */
  readonly memory: number[];
}

export interface CmosOptions {
  readonly base: number;
  readonly services: DeviceServices;
  readonly bootTime: { readonly seconds: number; readonly nanoseconds: number };
}

interface Calendar {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  /** 1 is Sunday. */
  readonly weekday: number;
  readonly secondOfDay: number;
}

export function createCmosRtc({ base, services, bootTime }: CmosOptions): Device & { readonly state: CmosState } {
  const state: CmosState = {
    bootSeconds: bootTime.seconds + bootTime.nanoseconds / 1e9,
    index: 0,
    memory: Array<number>(128).fill(0),
  };
  state.memory[STATUS_A] = A_RESET;
  state.memory[STATUS_B] = B.HOURS_24;
  state.memory[STATUS_D] = D_VALID;

  const clock: Readonly<Record<number, (now: Calendar) => number>> = {
    0x00: ({ secondOfDay }) => secondOfDay % 60,
    0x02: ({ secondOfDay }) => Math.floor(secondOfDay / 60) % 60,
    0x06: ({ weekday }) => weekday,
    0x07: ({ day }) => day,
    0x08: ({ month }) => month,
    0x09: ({ year }) => year % 100,
    0x32: ({ year }) => Math.floor(year / 100),
  };

  const loadData = (): number => {
    const { index } = state;
    const format = state.memory[STATUS_B] ?? 0;
    const inFormat = (value: number): number => ((format & B.BINARY) !== 0 ? value : toDecimalDigits(value));
    const now = (): Calendar => calendarOf(Math.floor(state.bootSeconds + services.timeNs() / 1e9));
    const field = clock[index];
    if (field !== undefined) return inFormat(field(now()));
    if (index === 0x04) {
      const hour = Math.floor(now().secondOfDay / 3600);
      if ((format & B.HOURS_24) !== 0) return inFormat(hour);
      return inFormat(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? PM : 0);
    }
    return state.memory[index] ?? 0;
  };

  const storeData = (value: number): void => {
    const { index } = state;
    if (index !== STATUS_C && index !== STATUS_D) state.memory[index] = index === STATUS_A ? value & 0x7f : value;
  };

  return {
    name: "cmos-rtc",
    base,
    size: 2,
    state,
    load(offset: number, size: AccessSize, out: BusWord): boolean {
      if (size !== 1) return false;
      out.lo = offset === 0 ? state.index : loadData();
      out.hi = 0;
      return true;
    },
    store(offset: number, size: AccessSize, lo: number): boolean {
      if (size !== 1) return false;
      if (offset === 0) state.index = lo & 0x7f;
      else storeData(lo & 0xff);
      return true;
    },
  };
}

/** 59 as 0x59. */
function toDecimalDigits(value: number): number {
  return (Math.floor(value / 10) << 4) | (value % 10);
}

/**
 * The Gregorian calendar, counted in 400-year cycles of 146097 days from 1 March of year 0, so that the leap day is a year's last.
 */
function calendarOf(seconds: number): Calendar {
  const days = Math.floor(seconds / 86400);
  const sinceMarch0 = days + 719468;
  const cycle = Math.floor(sinceMarch0 / 146097);
  const dayOfCycle = sinceMarch0 - cycle * 146097;
  const leapDays = Math.floor(dayOfCycle / 1460) - Math.floor(dayOfCycle / 36524) + Math.floor(dayOfCycle / 146096);
  const yearOfCycle = Math.floor((dayOfCycle - leapDays) / 365);
  const dayOfYear = dayOfCycle - (365 * yearOfCycle + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100));
  // Months from March on have 31 30 31 30 31 days, again and again.
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
    // The epoch was a Thursday.
    weekday: ((((days + 4) % 7) + 7) % 7) + 1,
    secondOfDay: seconds - days * 86400,
  };
}
