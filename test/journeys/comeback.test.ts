import { comeback } from './comeback.ts'

comeback({ workspaces: 10, perSecond: 500, seconds: 12 }, () => ({}))
