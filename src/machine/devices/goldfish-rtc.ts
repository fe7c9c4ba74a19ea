/**
 * A real-time clock: nanoseconds since the epoch, with one alarm.
 *
 *   +0x00 TIME_LOW (a read latches TIME_HIGH)   +0x10 IRQ_ENABLED
 *   +0x04 TIME_HIGH                             +0x14 CLEAR_ALARM
 *   +0x08 ALARM_LOW (a write arms)              +0x18 ALARM_STATUS
 *   +0x0c ALARM_HIGH                            +0x1c CLEAR_INTERRUPT
 *
 * Android's "Goldfish virtual hardware", section "Goldfish timer"; device-tree binding "google,goldfish-rtc". The time is
 * an input of the machine (the moment of boot) plus virtual time, so it does not depend on the host's clock.
 */
import type { Device, DeviceServices } from "../bus.ts";
import { createWordDevice, type InterruptLine } from "./registers.ts";

export interface RtcState {
  /** What the clock reads at virtual time 0. Nanoseconds since the epoch exceed 2^53, hence BigInt, off any hot path. */
  epochNs: bigint;
  latchedHigh: number;
  timeHigh: number;
  alarmHigh: number;
  /** When the alarm goes off, on this clock; undefined when it is not armed. */
  alarmNs: bigint | undefined;
  interruptEnabled: boolean;
  interruptPending: boolean;
}

export interface RtcOptions {
  readonly base: number;
  readonly services: DeviceServices;
  readonly interrupt: InterruptLine;
  readonly bootTime: { readonly seconds: number; readonly nanoseconds: number };
}

export function createGoldfishRtc({
  base,
  services,
  interrupt,
  bootTime,
}: RtcOptions): Device & { readonly state: RtcState } {
  const name = "rtc";
  const state: RtcState = {
    epochNs: BigInt(bootTime.seconds) * 1_000_000_000n + BigInt(bootTime.nanoseconds),
    latchedHigh: 0,
    timeHigh: 0,
    alarmHigh: 0,
    alarmNs: undefined,
    interruptEnabled: false,
    interruptPending: false,
  };
  const clockNs = (timeNs: number): bigint => state.epochNs + BigInt(Math.floor(timeNs));
  const updateInterrupt = (): void => interrupt(state.interruptEnabled && state.interruptPending);

  const updateAlarm = (timeNs: number): void => {
    if (state.alarmNs === undefined) {
      services.cancel(name, 0);
    } else if (clockNs(timeNs) >= state.alarmNs) {
      state.alarmNs = undefined;
      state.interruptPending = true;
      services.cancel(name, 0);
      updateInterrupt();
    } else {
      const atNs = Number(state.alarmNs - state.epochNs);
      if (atNs <= Number.MAX_SAFE_INTEGER) services.schedule(atNs, name, 0);
    }
  };

  return createWordDevice({
    name,
    base,
    size: 0x1000,
    state,
    registers: [
      {
        name: "TIME_LOW",
        offset: 0x00,
        load: () => {
          const now = clockNs(services.timeNs());
          state.latchedHigh = Number(BigInt.asIntN(32, now >> 32n));
          return Number(BigInt.asIntN(32, now));
        },
        store: (value) => {
          state.epochNs = joinWord(state.timeHigh, value) - BigInt(Math.floor(services.timeNs()));
          updateAlarm(services.timeNs());
        },
      },
      { name: "TIME_HIGH", offset: 0x04, load: () => state.latchedHigh, store: (value) => (state.timeHigh = value) },
      {
        name: "ALARM_LOW",
        offset: 0x08,
        load: () => Number(BigInt.asIntN(32, state.alarmNs ?? 0n)),
        store: (value) => {
          state.alarmNs = joinWord(state.alarmHigh, value);
          updateAlarm(services.timeNs());
        },
      },
      { name: "ALARM_HIGH", offset: 0x0c, load: () => state.alarmHigh, store: (value) => (state.alarmHigh = value) },
      {
        name: "IRQ_ENABLED",
        offset: 0x10,
        load: () => Number(state.interruptEnabled),
        store: (value) => {
          state.interruptEnabled = (value & 1) === 1;
          updateInterrupt();
        },
      },
      {
        name: "CLEAR_ALARM",
        offset: 0x14,
        store: () => {
          state.alarmNs = undefined;
          updateAlarm(services.timeNs());
        },
      },
      { name: "ALARM_STATUS", offset: 0x18, load: () => Number(state.alarmNs !== undefined) },
      {
        name: "CLEAR_INTERRUPT",
        offset: 0x1c,
        store: () => {
          state.interruptPending = false;
          updateInterrupt();
        },
      },
    ],
    onEvent: (_, atNs) => updateAlarm(Math.max(atNs, services.timeNs())),
    onRestore: () => {
      updateInterrupt();
      updateAlarm(services.timeNs());
    },
  });
}

function joinWord(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
