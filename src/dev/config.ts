export interface HomeserverConfig {
  dir: string;
  port: number;
  serverName: string;
  /** `generous`: nothing a test or a demo does is held back; `default`: the limits that Synapse ships with. */
  rateLimits: 'generous' | 'default';
  /** Served in the client's well-known document, so that a caller can tell this process from another on its port. */
  instance: string;
  /** Which rooms are made encrypted where nobody asks for it; `invite`: those of a private preset. Default `off`. */
  encrypted?: 'off' | 'invite' | 'all' | undefined;
  secrets: { registration: string; macaroon: string; form: string };
}

const unlimited = { per_second: 100_000, burst_count: 100_000 };
const generousLimits = {
  rc_message: unlimited,
  rc_registration: unlimited,
  rc_login: { address: unlimited, account: unlimited, failed_attempts: unlimited },
  rc_joins: { local: unlimited, remote: unlimited },
  rc_joins_per_room: unlimited,
  rc_invites: { per_room: unlimited, per_user: unlimited, per_issuer: unlimited },
  rc_room_creation: unlimited,
  rc_admin_redaction: unlimited,
  rc_profile: unlimited,
  rc_user_directory: unlimited,
};

/**
 * The configuration of a local Synapse as JSON, which is YAML: SQLite, loopback only, no federation, no request to
 * any other machine.
 */
export function homeserverConfig(config: HomeserverConfig): string {
  const { dir, port, serverName, rateLimits, instance, encrypted = 'off', secrets } = config;
  return JSON.stringify(
    {
      server_name: serverName,
      public_baseurl: `http://127.0.0.1:${port}/`,
      pid_file: `${dir}/homeserver.pid`,
      listeners: [
        { port, bind_addresses: ['127.0.0.1'], type: 'http', tls: false, resources: [{ names: ['client'] }] },
      ],
      database: { name: 'sqlite3', args: { database: `${dir}/homeserver.db` } },
      log_config: `${dir}/log.yaml`,
      media_store_path: `${dir}/media`,
      signing_key_path: `${dir}/signing.key`,
      registration_shared_secret: secrets.registration,
      macaroon_secret_key: secrets.macaroon,
      form_secret: secrets.form,
      enable_registration: false,
      // Passwords here are random and 24 bytes long; the cost of a slow hash would protect nothing.
      bcrypt_rounds: 4,
      report_stats: false,
      federation_domain_whitelist: [],
      trusted_key_servers: [],
      suppress_key_server_warning: true,
      url_preview_enabled: false,
      push: { enabled: false },
      presence: { enabled: false },
      encryption_enabled_by_default_for_room_type: encrypted,
      extra_well_known_client_content: {
        'io.element.e2ee': { default: false },
        'dev.understudy.instance': instance,
      },
      ...(rateLimits === 'generous' && generousLimits),
    },
    null,
    2,
  );
}

/** Python's logging configuration: warnings and worse into one file that never grows past 3 × 5 MB. */
export function logConfig(dir: string): string {
  return JSON.stringify({
    version: 1,
    formatters: { line: { format: '%(asctime)s %(levelname)s %(name)s %(message)s' } },
    handlers: {
      file: {
        class: 'logging.handlers.RotatingFileHandler',
        formatter: 'line',
        filename: `${dir}/homeserver.log`,
        maxBytes: 5_000_000,
        backupCount: 2,
      },
    },
    root: { level: 'WARNING', handlers: ['file'] },
    disable_existing_loggers: false,
  });
}
