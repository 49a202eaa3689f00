import type { Clock } from '../time/clock.js';
import { loginBody } from './answers.js';
import { openApi } from './transport.js';

export interface LoginOptions {
  url: string;
  /** Local part or full user id. */
  user: string;
  password: string;
  /** Every replica logs in with the same device id, so that all their tokens belong to one device (PROTOCOL D6). */
  deviceId: string;
  clock: Clock;
  deadlineMs: number;
  signal?: AbortSignal;
}

export interface Session {
  accessToken: string;
  userId: string;
  deviceId: string;
}

/**
 * `POST /login` with a password and a given device id. There is no logout on purpose: it would end the device for
 * every replica. Rejects with `HomeserverError`; a wrong password is `refused` with `M_FORBIDDEN`.
 */
export function logIn(options: LoginOptions): Promise<Session> {
  const api = openApi(options.url, '', options.clock);
  return api(
    {
      method: 'POST',
      path: '/_matrix/client/v3/login',
      body: {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: options.user },
        password: options.password,
        device_id: options.deviceId,
        initial_device_display_name: 'Understudy',
      },
      deadlineMs: options.deadlineMs,
      signal: options.signal,
    },
    (body) => {
      const { access_token, user_id, device_id } = loginBody.parse(body);
      return { accessToken: access_token, userId: user_id, deviceId: device_id };
    },
  );
}
