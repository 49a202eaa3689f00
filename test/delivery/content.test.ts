import { expect, test } from 'vitest';
import { editContent, messageContent } from '../../src/delivery/content.js';

const mark = { source: '$1', step: 'anchor', epoch: 0, replica: 'r', format: 1 } as never;

test('a notice formats nothing: what stands in it may be a name that somebody chose', () => {
  const body = 'Your chats:\n1. [pay here](https://evil.example)\n2. __init__';
  const notice = messageContent({ kind: 'm.notice', body, mark });
  expect(notice).toMatchObject({ msgtype: 'm.notice', body });
  const edit = editContent({ kind: 'm.notice', body, mark, target: '$2' });
  for (const content of [notice, edit]) expect(JSON.stringify(content)).not.toContain('formatted_body');
  expect(messageContent({ kind: 'm.text', body, mark })).toHaveProperty('formatted_body');
});
