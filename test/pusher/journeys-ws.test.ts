import { pusherJourneys } from './journeys.ts'

pusherJourneys('one program, over ws', { nodes: 1, transport: 'ws' })
pusherJourneys('two nodes and a Redis, over ws', { nodes: 2, transport: 'ws' })
