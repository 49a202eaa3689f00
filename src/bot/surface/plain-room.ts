import type { CreateRoom } from '../../matrix/homeserver.js';

/**
 * A private room that is not encrypted (REQUIREMENTS R2). A homeserver may encrypt what is made with a private preset
 * (Synapse: `encryption_enabled_by_default_for_room_type: invite`). So the preset is the public one, and all that makes a
 * room private is said in the same request, where `initial_state` takes precedence (Matrix spec, `/createRoom`).
 * Synapse sends none of the preset's events then; what that costs on others: docs/decisions/0033.
 */
export function plainRoom({
  power_level_content_override: levels,
  ...body
}: Omit<CreateRoom, 'preset' | 'visibility' | 'initial_state'>): CreateRoom {
  return {
    ...body,
    preset: 'public_chat',
    visibility: 'private',
    initial_state: [
      { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'invite' } },
      { type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'shared' } },
      { type: 'm.room.guest_access', state_key: '', content: { guest_access: 'can_join' } },
    ],
    power_level_content_override: { invite: 0, ...levels },
  };
}
