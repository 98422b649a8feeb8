/** Who may subscribe to what: every subscriber against every channel. */

import { describe, expect, it } from 'vitest'
import { maySubscribe, type Subscriber } from '../../auth/channel-rules.ts'
import { type ChatChannel, chatChannel } from '../../schema/channels.ts'

/** Two workspaces; the first has two sites, each with a conversation. */
const places: Record<string, { workspace: string; site: string | null }> = {
  org_a: { workspace: 'org_a', site: null },
  org_b: { workspace: 'org_b', site: null },
  web_1: { workspace: 'org_a', site: 'web_1' },
  web_2: { workspace: 'org_a', site: 'web_2' },
  web_9: { workspace: 'org_b', site: 'web_9' },
  cnv_1: { workspace: 'org_a', site: 'web_1' },
  cnv_2: { workspace: 'org_a', site: 'web_2' },
  cnv_9: { workspace: 'org_b', site: 'web_9' },
}

const channels = [
  ...['private-org-org_a', 'private-org-org_b', 'private-org-org_none'],
  ...['private-site-web_1', 'private-site-web_2', 'private-site-web_9', 'private-site-web_none'],
  ...['private-conv-cnv_1', 'private-conv-cnv_2', 'private-conv-cnv_9', 'private-conv-cnv_none'],
  ...['private-visitor-cnv_1', 'private-visitor-cnv_2', 'private-visitor-cnv_9', 'private-visitor-cnv_none'],
  ...['public', 'private-anything', 'private-site-org_a', 'private-org-web_1', 'presence-org-org_a', 'private-site-'],
]

const placeOf = async ({ id }: ChatChannel) => places[id]

/** Returns every channel that the subscriber may hear. */
const heardBy = async (subscriber: Subscriber) => {
  const heard: string[] = []
  for (const name of channels) if (await maySubscribe(subscriber, chatChannel(name), placeOf)) heard.push(name)
  return heard
}

describe('P4: who may hear what', () => {
  it('a key of a workspace hears the workspace, its sites and its conversations', async () => {
    expect(await heardBy({ kind: 'key', workspace: 'org_a', site: null })).toEqual([
      ...['private-org-org_a', 'private-site-web_1', 'private-site-web_2', 'private-conv-cnv_1', 'private-conv-cnv_2'],
    ])
  })

  it('a key that is pinned to a site hears that site and its conversations, not the workspace', async () => {
    expect(await heardBy({ kind: 'key', workspace: 'org_a', site: 'web_2' })).toEqual([
      ...['private-site-web_2', 'private-conv-cnv_2'],
    ])
  })

  it('a key whose pin is of no use hears nothing', async () => {
    for (const site of ['web_none', 'web_9', '']) {
      expect(await heardBy({ kind: 'key', workspace: 'org_a', site })).toEqual([])
    }
    expect(await heardBy({ kind: 'key', workspace: 'org_none', site: null })).toEqual(['private-org-org_none'])
  })

  it('a visitor hears their conversation as visitors do, and nothing else', async () => {
    expect(await heardBy({ kind: 'visitor', workspace: 'org_a', conversation: 'cnv_2' })).toEqual([
      'private-visitor-cnv_2',
    ])
  })
})
