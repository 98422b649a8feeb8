import { churns } from './churn.ts'

churns('ws')
