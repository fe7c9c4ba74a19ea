// Signals that the host's process gets: the first of each goes where the command wants it, the second ends us at once.

const SIGNALS: readonly (readonly [name: NodeJS.Signals, number: number])[] = [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1],
];

/** Calls `onSignal` with the first of each signal. A second one leaves with 128 + its number, the terminal as it was. */
export function onHostSignal(onSignal: (number: number) => void): void {
  for (const [name, number] of SIGNALS) {
    let count = 0;
    process.on(name, () => {
      count += 1;
      if (count > 1) process.exit(128 + number);
      onSignal(number);
    });
  }
}
