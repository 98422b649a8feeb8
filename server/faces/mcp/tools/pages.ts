/** A page of a list as a tool answers it. */

import type { Page } from '../../../domain/walks.ts'

/** Shows a page, each item as `present` does. */
export const presentPage = <Facts, Shown>(
  { data, nextCursor }: Page<Facts>,
  present: (facts: Facts) => Shown,
): { object: 'list'; data: Shown[]; has_more: boolean; next_cursor: string | null } => ({
  object: 'list',
  data: data.map((facts) => present(facts)),
  has_more: nextCursor !== null,
  next_cursor: nextCursor,
})
