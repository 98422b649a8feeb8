/** The AI that the operator has chosen: an endpoint that speaks OpenAI's chat completions. */

/** What is said to it, in order. */
export type Prompt = { role: 'system' | 'user'; content: string }[]

export type Ai = {
  /** The model's name, as it is shown beside what it has written. */
  model: string
  /** Returns what it answers; throws `unavailable` where it gives no usable answer in time. */
  complete(prompt: Prompt): Promise<string>
}

/** Returns the AI; undefined where none is configured. */
export const createAi = (_config: {
  AI_BASE_URL?: string | undefined
  AI_API_KEY?: string | undefined
  AI_MODEL?: string | undefined
}): Ai | undefined => undefined
