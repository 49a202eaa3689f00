/** A holder and the authority measure one lease with two clocks, each of which may go wrong by 1 %. */
const DRIFT = 0.02;

/** Milliseconds. Longer work renews its claim: after a change without the old authority, the new one waits so long. */
export const LONGEST_LEASE_MS = 60_000;
export const SHORTEST_LEASE_MS = 100;

/** How long a consumed key may be remembered at most, milliseconds. */
export const LONGEST_KEEP_MS = 364 * 24 * 60 * 60_000;

/** How long a holder may count on a lease, from before it asked for it, milliseconds. */
export const holdersPart = (leaseMs: number): number => leaseMs * (1 - DRIFT);

/** Tokens are set aside in blocks of so many: what a disk says was set aside is never handed out after a restart. */
export const TOKEN_BLOCK = 1024;

export interface ClaimLimits {
  /** Claims that are held or remembered, in all. */
  claims: number;
  /** Of these, in one namespace. */
  perNamespace: number;
  /** Milliseconds. */
  longestLeaseMs: number;
}

export const defaultClaimLimits: ClaimLimits = {
  claims: 20_000,
  perNamespace: 10_000,
  longestLeaseMs: LONGEST_LEASE_MS,
};
