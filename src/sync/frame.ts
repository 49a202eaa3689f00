import { z } from 'zod';
import { decodeCbor, encodeCbor } from './codec.js';

/** One wire version; a relay and a replica that share none refuse each other before the upgrade. */
export const protocol = 'understudy.v1';

/** The same frames, by a client that only reads: it tells the relay so before it has said anything. */
export const viewerProtocol = 'understudy.v1.viewer';

/** The header of an upgrade's answer by which a relay that decides on claims says its lasting name. */
export const relayHeader = 'understudy-relay';

/** Room for a document of many thousand records in one sync message. */
export const defaultMaxFrameBytes = 16 * 1024 * 1024;

/** Replica ids and incarnations: printable, without the slash that joins the two in a peer id. */
export const nameSchema = z.string().regex(/^[!-.0-~]{1,128}$/);

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const count = z.int().nonnegative();
const documentId = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{20,40}$/);
const head = z.string().regex(/^[0-9a-f]{64}$/);
const member = z.tuple([nameSchema, nameSchema]);

/** Of automerge-repo's messages, those about documents. No sender and no target: the connection says both. */
const repoFrames = {
  sync: z.tuple([z.literal('sync'), documentId, bytes]),
  request: z.tuple([z.literal('request'), documentId, bytes]),
  'doc-unavailable': z.tuple([z.literal('doc-unavailable'), documentId]),
  /** Document, author's peer id, author's session, count within the session, CBOR payload. */
  ephemeral: z.tuple([
    z.literal('ephemeral'),
    documentId,
    z.string().min(1).max(300),
    z.string().min(1).max(64),
    count,
    bytes,
  ]),
};

/** To (null: everyone), sender's replica and incarnation, its sequence number, topic, body as CBOR of its own. */
const channel = z.tuple([
  z.literal('channel'),
  nameSchema.nullable(),
  nameSchema,
  nameSchema,
  count,
  z.string().min(1).max(64),
  bytes,
]);

const toRelay = {
  ...repoFrames,
  channel,
  /** Cluster check, replica, incarnation: the first frame of a connection, and only the first. */
  hello: z.tuple([z.literal('hello'), z.string().max(128).nullable(), nameSchema, nameSchema]),
  /** A Repo listens from here on: sync messages sent before would be lost and never repeated. */
  attach: z.tuple([z.literal('attach')]),
  detach: z.tuple([z.literal('detach')]),
  'heads?': z.tuple([z.literal('heads?'), count, z.array(documentId).max(4096)]),
  /** Request number, and what is asked of an authority on claims (claims/wire.ts) as CBOR of its own. */
  claim: z.tuple([z.literal('claim'), count, bytes]),
};

const fromRelay = {
  ...repoFrames,
  channel,
  /** The relay's peer id (new at each of its starts), its frame limit in bytes, and who else is connected. */
  welcome: z.tuple([z.literal('welcome'), nameSchema, z.int().positive(), z.array(member)]),
  joined: z.tuple([z.literal('joined'), nameSchema, nameSchema]),
  gone: z.tuple([z.literal('gone'), nameSchema, nameSchema]),
  heads: z.tuple([z.literal('heads'), count, z.array(z.tuple([documentId, z.array(head)]))]),
  claimed: z.tuple([z.literal('claimed'), count, bytes]),
};

export type RepoFrame = z.infer<(typeof repoFrames)[keyof typeof repoFrames]>;
export type ChannelFrame = z.infer<typeof channel>;
export type FrameToRelay = z.infer<(typeof toRelay)[keyof typeof toRelay]>;
export type FrameFromRelay = z.infer<(typeof fromRelay)[keyof typeof fromRelay]>;

const toRelaySchemas = new Map<unknown, z.ZodType<FrameToRelay>>(Object.entries(toRelay));
const fromRelaySchemas = new Map<unknown, z.ZodType<FrameFromRelay>>(Object.entries(fromRelay));

export function encodeFrame(frame: FrameToRelay | FrameFromRelay): Uint8Array {
  return encodeCbor(frame);
}

/** A frame that a replica sent, or undefined: nothing that is undefined here is seen by anyone. */
export function parseFrameToRelay(data: Uint8Array): FrameToRelay | undefined {
  return parse(data, toRelaySchemas);
}

/** A frame that a relay sent, or undefined. */
export function parseFrameFromRelay(data: Uint8Array): FrameFromRelay | undefined {
  return parse(data, fromRelaySchemas);
}

function parse<F>(data: Uint8Array, schemas: Map<unknown, z.ZodType<F>>): F | undefined {
  let value: unknown;
  try {
    value = decodeCbor(data);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  return schemas.get(value[0])?.safeParse(value).data;
}
