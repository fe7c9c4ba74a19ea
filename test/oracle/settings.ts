// How much the oracles do: a quick slice in `npm test`, or a million instructions an extension with VITRINE_ORACLE=long.
// VITRINE_SEED is the seed of the first program; those that follow count up from it.

/** The instructions to run: `quick`, or as many as the environment asks for. */
export function instructionBudget(quick: number): number {
  const wanted = process.env["VITRINE_ORACLE"];
  if (wanted === undefined || wanted === "") return quick;
  return wanted === "long" ? 1_000_000 : Number(wanted);
}

export function firstSeed(): number {
  return Number(process.env["VITRINE_SEED"] ?? 1);
}
