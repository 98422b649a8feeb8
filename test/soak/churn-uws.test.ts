import { churns } from './churn.ts'

churns('uws')
