/**
 * Everything that must outlive the containers: the volume in docker-compose.yml, where each service has it, and what
 * is lost without it. STATE.md names the same volumes; the tests compare.
 */
export const persistent: Record<string, { at: string; of: string[] }> = {
  secrets: { at: '/run/understudy', of: ['secrets', 'accounts'] },
  'synapse-data': { at: '/data', of: ['synapse-key', 'synapse'] },
  'postgres-data': { at: '/var/lib/postgresql/data', of: ['postgres'] },
  'relay-data': { at: '/var/lib/understudy', of: ['relay'] },
  'replica-1-data': { at: '/var/lib/understudy', of: ['replica-1'] },
  'replica-2-data': { at: '/var/lib/understudy', of: ['replica-2'] },
};
