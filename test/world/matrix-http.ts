/** A Matrix error as the homeserver gave it. */
export class MatrixRefusal extends Error {
  constructor(
    readonly status: number,
    readonly errcode: string,
    message: string,
    readonly retryAfterMs?: number,
  ) {
    super(message);
    this.name = 'MatrixRefusal';
  }
}

/** The parts of an event's content that a person's client looks at. */
export interface Content {
  [field: string]: unknown;
  body?: unknown;
  redacts?: string;
  'm.new_content'?: { body?: unknown };
  'm.relates_to'?: {
    rel_type?: string;
    event_id?: string;
    key?: string;
    'm.in_reply_to'?: { event_id?: string };
  };
}

/** An event as a client reads it. */
export interface TimelineEvent {
  event_id: string;
  type: string;
  sender: string;
  origin_server_ts: number;
  state_key?: string;
  content: Content;
  unsigned?: Record<string, unknown>;
  redacts?: string;
}

export interface Call {
  query?: Record<string, string | number>;
  body?: unknown;
  token?: string | undefined;
  signal?: AbortSignal;
  deadlineMs?: number;
}

/** One request of the client-server API, tried once. Rejects with {@link MatrixRefusal} or fetch's own error. */
export async function matrixCall<Answer = object>(
  url: string,
  method: string,
  path: string,
  call: Call = {},
): Promise<Answer> {
  const target = new URL(path, url);
  for (const [name, value] of Object.entries(call.query ?? {})) target.searchParams.set(name, String(value));
  const deadline = AbortSignal.timeout(Math.ceil(call.deadlineMs ?? 60_000));
  const answer = await fetch(target, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(call.token && { authorization: `Bearer ${call.token}` }),
    },
    signal: call.signal ? AbortSignal.any([call.signal, deadline]) : deadline,
    ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
  });
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as Answer;
  const { errcode = 'M_UNKNOWN', error = '', retry_after_ms } = refusal(text);
  throw new MatrixRefusal(answer.status, errcode, `${method} ${path}: ${errcode} ${error}`, retry_after_ms);
}

function refusal(text: string): { errcode?: string; error?: string; retry_after_ms?: number } {
  try {
    return JSON.parse(text) as object;
  } catch {
    // A proxy's error page.
    return { error: text.slice(0, 200) };
  }
}

/** Parts of a path, each encoded. */
export const v3 = (...parts: string[]): string =>
  `/_matrix/client/v3/${parts.map(encodeURIComponent).join('/')}`;
