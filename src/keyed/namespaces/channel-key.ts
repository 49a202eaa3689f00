import { KeyedStoreError } from '../errors.js';

/** Where something happens on a chat surface. */
export interface ChannelAddress {
  surface: 'slack' | 'discord' | 'teams' | 'matrix';
  /** Slack team, Discord guild, Teams tenant: where channel ids are not unique by themselves. Matrix rooms have none. */
  workspace?: string;
  /** Slack channel, Discord channel, Teams conversation id, Matrix room id. */
  channel: string;
}

/** A message in a channel. */
export interface MessageAddress extends ChannelAddress {
  /** Slack `ts`, Discord message id, Teams activity id, Matrix event id. */
  message: string;
}

/** A thread in a channel. */
export interface ThreadAddress extends ChannelAddress {
  /** Slack `thread_ts`, Discord thread id, id of the Teams message that begins it, event id of the Matrix thread's root. */
  thread: string;
}

/** The key of a message, in every namespace that is about messages. */
export function messageKey(address: MessageAddress): string {
  return channelKey(address, address.message);
}

/** The key of a thread. */
export function threadKey(address: ThreadAddress): string {
  return channelKey(address, address.thread);
}

/** `<surface>/<workspace>/<channel>/<rest>`: no two different addresses give one key, whatever their ids hold. */
function channelKey({ surface, workspace = '', channel }: ChannelAddress, rest: string): string {
  if (channel === '' || rest === '') {
    throw new KeyedStoreError('bad-key', `an address on ${surface} has a channel and a message or thread`);
  }
  return [surface, workspace, channel, rest].map(escaped).join('/');
}

const escaped = (part: string): string => part.replace(/[%/]/g, (one) => (one === '%' ? '%25' : '%2F'));
