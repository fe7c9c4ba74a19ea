/** The ports that end a run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeMachine, load, store } from "./fake-services.test.support.ts";
import { createDebugExit, createPowerPort, createResetPort } from "./pc-control.ts";

test("debug exit gives an odd status, whatever the size of the write", () => {
  const services = createFakeMachine();
  const port = createDebugExit({ base: 0xf4, services });
  store(port, 0, 0, 4);
  store(port, 0, 5, 1);
  store(port, 0, 0x7f, 2);
  assert.deepEqual(
    services.halted.map(({ reason, status }) => [reason, status]),
    [
      ["power-off", 1],
      ["power-off", 11],
      ["power-off", 255],
    ],
  );
  assert.equal(load(port, 0, 4), 0);
});

test("power and reset need their bit", () => {
  const services = createFakeMachine();
  const power = createPowerPort({ base: 0x604, services });
  const reset = createResetPort({ base: 0xcf9, services });
  store(power, 0, 0x0400, 2);
  store(reset, 1, 2, 1);
  // The address of a PCI device.
  store(reset, 0, 0x8000ff00 | 0, 4);
  assert.equal(reset.base, 0xcf8);
  assert.deepEqual(services.halted, []);
  store(power, 0, 0x2000, 2);
  store(reset, 1, 6, 1);
  assert.deepEqual(services.halted, [
    { reason: "power-off", status: 0 },
    { reason: "reset", status: 0 },
  ]);
});
