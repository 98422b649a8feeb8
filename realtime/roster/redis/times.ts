/** The times of a roster between processes. */

import { countPause, goodbyeDelay } from '../roster.ts'

/** All in ms. */
export type RosterTimes = {
  /** How often a node says that it lives, for how long it is believed, and how often dead nodes are looked for. */
  beat: number
  lease: number
  sweep: number
  /** How long the others get to come back before anything is made of what is missing. */
  settle: number
  /** How long an answer is waited for. */
  patience: number
  /** How long closing may take. */
  farewell: number
  goodbye: number
  countPause: number
}

/** What they are, except in tests. */
export const usualTimes: RosterTimes = {
  beat: 2000,
  lease: 8000,
  sweep: 2000,
  settle: 4000,
  patience: 500,
  farewell: 2000,
  goodbye: goodbyeDelay,
  countPause,
}
