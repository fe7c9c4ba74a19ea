// Tests of goldfish-rtc.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeMachine, faults, load, store } from "./fake-services.test.support.ts";
import { createGoldfishRtc } from "./goldfish-rtc.ts";
import { createTestFinisher } from "./test-finisher.ts";

const reg = {
  timeLow: 0,
  timeHigh: 4,
  alarmLow: 8,
  alarmHigh: 0xc,
  enable: 0x10,
  clearAlarm: 0x14,
  armed: 0x18,
  clear: 0x1c,
};

function createRtcMachine() {
  const machine = createFakeMachine();
  let line = false;
  const rtc = createGoldfishRtc({
    base: 0,
    services: machine,
    interrupt: (level) => (line = level),
    bootTime: { seconds: 1_700_000_000, nanoseconds: 5 },
  });
  machine.devices.push(rtc);
  const time = () => {
    const low = BigInt(load(rtc, reg.timeLow));
    return (BigInt(load(rtc, reg.timeHigh)) << 32n) | low;
  };
  const setAlarm = (ns: bigint) => {
    store(rtc, reg.alarmHigh, Number(ns >> 32n));
    store(rtc, reg.alarmLow, Number(ns & 0xffff_ffffn));
  };
  return { machine, rtc, time, setAlarm, line: () => line };
}

test("the clock is the boot time plus virtual time, and can be set", () => {
  const { machine, rtc, time } = createRtcMachine();
  assert.equal(time(), 1_700_000_000_000_000_005n);
  machine.advance(7_000_000_000);
  assert.equal(time(), 1_700_000_007_000_000_005n);
  store(rtc, reg.timeHigh, 1);
  store(rtc, reg.timeLow, 2);
  assert.equal(time(), (1n << 32n) + 2n);
});

test("the alarm goes off once, on time, and interrupts when enabled", () => {
  const { machine, rtc, setAlarm, line } = createRtcMachine();
  setAlarm(1_700_000_001_000_000_005n);
  assert.equal(load(rtc, reg.armed), 1);
  machine.advance(999_999_999);
  store(rtc, reg.enable, 1);
  assert.ok(!line());
  machine.advance(1_000_000_000);
  assert.ok(line());
  assert.equal(load(rtc, reg.armed), 0);
  store(rtc, reg.clear, 1);
  assert.ok(!line());
  setAlarm(1_700_000_009_000_000_000n);
  store(rtc, reg.clearAlarm, 1);
  machine.advance(20_000_000_000);
  assert.ok(!line());
  setAlarm(5n);
  assert.ok(line(), "an alarm in the past goes off at once");
});

test("the finisher powers off, fails with a code, resets, and ignores the rest", () => {
  const machine = createFakeMachine();
  const finisher = createTestFinisher({ base: 0, services: machine });
  store(finisher, 0, 0x1234);
  store(finisher, 4, 0x5555);
  assert.ok(faults(finisher, 0, 1));
  store(finisher, 0, 0x5555);
  store(finisher, 0, 0x2a_3333);
  store(finisher, 0, 0x7777, 2);
  assert.deepEqual(machine.halted, [
    { reason: "power-off", status: 0 },
    { reason: "failure", status: 0x2a },
    { reason: "reset", status: 0 },
  ]);
});
