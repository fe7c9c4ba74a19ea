// The value of an expression, and how far it is settled.

import { parseExpression, type Scope } from "./expression.ts";

/**
 * - `constant`: a number, or set by `.equ` before, to a value that depends on no address;
 * - `given`: from the assembler's options;
 * - `address`: anything else with a value, which may move while addresses are not settled;
 * - `unknown`: no value yet.
 */
export type Status = (typeof STATUSES)[number];

/** From settled to not; an expression is as settled as the least settled of its symbols. */
const STATUSES = ["constant", "given", "address", "unknown"] as const;

export interface Value {
  readonly value: bigint;
  readonly status: Status;
  /** How many addresses the expression mentions: one, and it is an address; two, and it is likely a distance. */
  readonly addresses: number;
}

/** What symbols are worth in a place, and how far that is settled. */
export interface Place {
  readonly scope: Scope;
  readonly status: (symbol: string) => Status;
}

/** Evaluates a whole string; throws ExpressionError. */
export function evaluate(text: string, place: Place): Value {
  let worst = 0;
  let addresses = 0;
  const value = parseExpression(text)((symbol) => {
    const status = place.status(symbol);
    worst = Math.max(worst, STATUSES.indexOf(status));
    if (status === "address") addresses++;
    return place.scope(symbol);
  });
  return { value, status: STATUSES[worst] ?? "unknown", addresses };
}
