import type { Relay } from '../sync/relay.js';
import type { RelayTls } from '../sync/relay-server.js';
import type { RelayToken } from '../sync/relay-tokens.js';
import { readTokensFile, watchFile } from '../sync/tokens-file.js';
import type { Log } from '../telemetry/log.js';
import type { Cancel, Clock } from '../time/clock.js';
import { readTls } from './config/tls-files.js';
import type { RelayConfig } from './config/roles.js';
import { messageOf } from './explain.js';
import type { HangUp } from './hang-up.js';
import { wrongSetting } from './user-error.js';

/**
 * The files that a relay reads again while it runs: its tokens when their file changes, and on SIGHUP, its
 * certificate on SIGHUP. What cannot be used then leaves what was read before in force, and says so.
 */
export class RelayFiles {
  readonly tokens: (string | RelayToken)[] | undefined;
  readonly tls: RelayTls | undefined;
  readonly #cleanup: Cancel[] = [];

  /** Throws when a file cannot be used: nothing is in force yet. */
  constructor(
    private readonly config: Pick<RelayConfig, 'token' | 'tokensFile' | 'tls'>,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly hangUps: HangUp,
  ) {
    this.tokens = this.#readTokens();
    if (this.tokens?.length === 0) {
      throw wrongSetting(
        'UNDERSTUDY_RELAY_TOKENS_FILE lists no token, so that nobody could connect: `understudy relay token create` makes one',
      );
    }
    this.tls = this.#readTls();
  }

  follow(relay: Pick<Relay, 'setTokens' | 'setTls'>): void {
    const tokens = (): void => {
      this.#again('UNDERSTUDY_RELAY_TOKENS_FILE', () => {
        const list = this.#readTokens();
        if (list) relay.setTokens(list);
        return list?.length;
      });
    };
    const hangUp = (): void => {
      tokens();
      this.#again('UNDERSTUDY_RELAY_TLS_CERT_FILE', () => {
        const tls = this.#readTls();
        if (tls) relay.setTls(tls);
        return tls && 1;
      });
    };
    this.hangUps.follow(hangUp);
    this.#cleanup.push(() => this.hangUps.close());
    const { tokensFile } = this.config;
    if (tokensFile !== undefined) this.#cleanup.push(watchFile(tokensFile, this.clock, tokens));
  }

  close(): void {
    for (const stop of this.#cleanup.splice(0)) stop();
  }

  #again(setting: string, read: () => number | undefined): void {
    try {
      const count = read();
      if (count !== undefined) this.log.info({ setting, count }, 'read again, and in force');
    } catch (error) {
      this.log.error({ setting, reason: messageOf(error) }, 'NOT USED: what was read before stays in force');
    }
  }

  #readTokens(): (string | RelayToken)[] | undefined {
    const { token, tokensFile } = this.config;
    const single = token === undefined ? [] : [token];
    if (tokensFile === undefined) return token === undefined ? undefined : single;
    const { tokens, warning } = readTokensFile(tokensFile);
    if (warning !== undefined) this.log.warn({ setting: 'UNDERSTUDY_RELAY_TOKENS_FILE' }, warning);
    return [...single, ...tokens];
  }

  #readTls(): RelayTls | undefined {
    if (!this.config.tls) return undefined;
    const { tls, warning } = readTls(this.config.tls);
    if (warning !== undefined) this.log.warn({ setting: 'UNDERSTUDY_RELAY_TLS_KEY_FILE' }, warning);
    return tls;
  }
}
