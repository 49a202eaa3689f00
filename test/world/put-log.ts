import { eventProblems, roomProblems } from './event-schema.js';

/** One PUT of an event that some client made through a proxy. */
export interface Put {
  client: string;
  /** Transaction id: the last part of the path. */
  txn: string;
  path: string;
  body: unknown;
  arrivedAt: number;
  /** When the homeserver had answered; missing while it has not, or never did. */
  answeredAt?: number;
  status?: number;
}

const V3 = '/_matrix/client/v3';
const STATE_PUT = /^\/rooms\/[^/]+\/state\/([^/]+)/;
const SEND_PUT = /^\/rooms\/[^/]+\/send\/([^/]+)/;

/** Every PUT of an event that passed the proxies which share this log, in the order of arrival. */
export class PutLog {
  readonly puts: Put[] = [];
  readonly #unfit = new Set<string>();

  /** What clients sent through the proxies and Matrix does not know so; empty when nothing is. */
  get unfit(): string[] {
    return [...this.#unfit];
  }

  /** Holds what a request says of an event to its schema. */
  hold(method: string, path: string, body: unknown): void {
    for (const problem of requestProblems(method, path.replace(/\?.*$/, ''), body)) this.#unfit.add(problem);
  }

  byTxn(): Map<string, Put[]> {
    const found = new Map<string, Put[]>();
    for (const put of this.puts) found.set(put.txn, [...(found.get(put.txn) ?? []), put]);
    return found;
  }

  /** Transaction ids under which the homeserver was asked more than once. */
  duplicates(): string[] {
    return [...this.byTxn()].filter(([, puts]) => puts.length > 1).map(([txn]) => txn);
  }

  /** Those of them that two different clients used: a race that the homeserver decided. */
  raced(): string[] {
    return this.duplicates().filter(
      (txn) =>
        new Set(
          this.byTxn()
            .get(txn)
            ?.map(({ client }) => client),
        ).size > 1,
    );
  }

  /** Those of them whose second PUT arrived before the first was answered. */
  overlapping(): string[] {
    return this.duplicates().filter((txn) => {
      const [first, ...later] = this.byTxn().get(txn) ?? [];
      return later.some((put) => put.arrivedAt < (first?.answeredAt ?? Infinity));
    });
  }
}

/** Requests that change something, and what their bodies are held to. */
const REQUESTS: [method: string, path: RegExp, problems: (body: unknown, type: string) => string[]][] = [
  ['PUT', SEND_PUT, (body, type) => eventProblems(type, body)],
  ['PUT', STATE_PUT, (body, type) => eventProblems(type, body)],
  ['PUT', /^\/user\/[^/]+\/account_data\/([^/]+)$/, (body, type) => eventProblems(type, body)],
  ['PUT', /^\/rooms\/[^/]+\/redact\//, (body) => eventProblems('m.room.redaction', body)],
  ['PUT', /^\/rooms\/[^/]+\/typing\//, (body) => eventProblems('typing-request', body)],
  ['POST', /^\/rooms\/[^/]+\/receipt\//, (body) => eventProblems('receipt-request', body)],
  ['POST', /^\/rooms\/[^/]+\/invite$/, (body) => eventProblems('invite-request', body)],
  ['POST', /^\/rooms\/[^/]+\/(?:leave|forget)$/, (body) => eventProblems('membership-request', body)],
  ['POST', /^\/join\/[^/]+$/, (body) => eventProblems('membership-request', body)],
  ['POST', /^\/createRoom$/, roomProblems],
  ['POST', /^\/login$/, (body) => eventProblems('login-request', body)],
];

/** What is wrong with a request that changes something at the homeserver. One that is not known is wrong. */
export function requestProblems(method: string, path: string, body: unknown): string[] {
  if (!path.startsWith('/_matrix/') || method === 'GET') return [];
  const rest = path.startsWith(V3) ? path.slice(V3.length) : path;
  for (const [wanted, pattern, problems] of REQUESTS) {
    const found = wanted === method ? pattern.exec(rest) : null;
    if (found) return problems(body, decodeURIComponent(found[1] ?? ''));
  }
  return [`${method} ${rest.replace(/[!@$#][^/]*/g, '…')}: nothing is known of such a request`];
}
