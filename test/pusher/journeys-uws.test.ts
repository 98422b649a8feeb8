import { pusherJourneys } from './journeys.ts'

pusherJourneys('one program, over uws', { nodes: 1, transport: 'uws' })
pusherJourneys('two nodes and a Redis, over uws', { nodes: 2, transport: 'uws' })
