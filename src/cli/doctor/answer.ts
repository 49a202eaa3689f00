import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { reasonOf } from '../person/api.js';

/** What an HTTP server says of itself before anything is asked of it. */
export interface Answer {
  status: number;
  /** Milliseconds, by its `Date` header, which counts whole seconds. */
  date: number | undefined;
  /** Milliseconds: until when its certificate counts; undefined without TLS. */
  certificateUntil: number | undefined;
  /** Milliseconds of this clock, when the answer came. */
  at: number;
}

/** `certificate`: it is there, and this machine does not take its certificate. */
export type NoAnswer = { failure: string; isCertificate: boolean };

const certificateCode =
  /^(CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT|HOSTNAME_MISMATCH)/;

/** One GET without a token. Resolves within `deadlineMs`, whatever the other side does. */
export function answerOf(
  url: string,
  options: { deadlineMs: number; signal: AbortSignal; now: () => number },
): Promise<Answer | NoAnswer> {
  const target = new URL(url.replace(/^ws/, 'http'));
  const open = target.protocol === 'https:' ? httpsRequest : httpRequest;
  const limit = AbortSignal.any([AbortSignal.timeout(options.deadlineMs), options.signal]);
  return new Promise((resolve) => {
    // A socket of its own, or a kept one would tell of an earlier certificate.
    const request = open(target, {
      signal: limit,
      agent: false,
      headers: { 'user-agent': 'understudy doctor' },
    });
    request.on('response', (response) => {
      const { date } = response.headers;
      const socket = response.socket as Partial<TLSSocket>;
      const until = socket.getPeerCertificate?.().valid_to;
      resolve({
        status: response.statusCode ?? 0,
        date: date === undefined ? undefined : Date.parse(date),
        certificateUntil: until === undefined ? undefined : Date.parse(until),
        at: options.now(),
      });
      request.destroy();
    });
    request.on('error', (error) => {
      const failure = limit.aborted && !options.signal.aborted ? 'no answer in time' : reasonOf(error);
      resolve({ failure, isCertificate: certificateCode.test(failure) });
    });
    request.end();
  });
}
