/** Sites as tools: which there are, and how the widget looks there. */

import { toolInputs, toolOutputs } from '../../../../schema/mcp.ts'
import { presentSite } from '../../../../schema/muro/presenters.ts'
import { listSites, updateSite } from '../../../domain/sites.ts'
import { presentPage } from './pages.ts'
import { defineTool, reading, setting } from './tool.ts'

export const listSitesTool = defineTool({
  name: 'list_sites',
  title: 'List sites',
  description:
    'Lists the websites that visitors chat from, with how the chat widget looks on each: colour, corner, size, language, welcome message, the name of the agent.',
  scope: 'read',
  hints: reading,
  input: toolInputs.list_sites,
  output: toolOutputs.list_sites,
  run: async ({ context, agent }, input) => presentPage(await listSites(context, agent, input), presentSite),
})

export const updateSiteTool = defineTool({
  name: 'update_site',
  title: 'Update a site',
  description:
    'Changes how the chat widget looks and speaks on one website: colour, corner, size, language, welcome message, automatic first answer, name of the agent. Only what is given changes; visitors see it at their next visit.',
  scope: 'write',
  hints: setting,
  input: toolInputs.update_site,
  output: toolOutputs.update_site,
  aliases: { id: 'site_id', website_id: 'site_id', greeting: 'welcome_message', colour: 'color' },
  run: async ({ context, agent }, { site_id: id, welcome_message: greeting, ...rest }) => {
    const patch = { ...rest, ...(greeting === undefined ? {} : { greeting }) }
    return presentSite(await updateSite(context, agent, id, patch))
  },
})
