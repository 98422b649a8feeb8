/** The scripts about the nodes: who lives, and who is dead. */

/**
 * Holds a node's lease. KEYS: leases, dead, epoch, sockets. ARGV: node, ms, the epoch it knows (empty: a new node), an
 * epoch to begin with, then apps and their sockets. Returns the epoch, whether the node holds its lease (1) or lost it
 * (0), and the apps and their sockets on the others.
 */
const beat = `
local node, known = ARGV[1], ARGV[3]
local epoch = redis.call('GET', KEYS[3])
if not epoch then
  epoch = ARGV[4]
  redis.call('SET', KEYS[3], epoch)
end
if known == epoch and not redis.call('ZSCORE', KEYS[1], node) then
  -- What it said in between is under its old name, too.
  redis.call('SADD', KEYS[2], node)
  return { epoch, 0 }
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]), node)
for n = 5, #ARGV, 2 do redis.call('HSET', KEYS[4], node .. ':' .. ARGV[n], ARGV[n + 1]) end
local others = {}
local all = redis.call('HGETALL', KEYS[4])
for n = 1, #all, 2 do
  local owner, app = string.match(all[n], '^([^:]+):(.*)$')
  if owner ~= node then others[app] = (others[app] or 0) + all[n + 1] end
end
local answer = { epoch, 1 }
for app, sockets in pairs(others) do
  table.insert(answer, app)
  table.insert(answer, string.format('%.0f', sockets))
end
return answer
`

/** Takes the leases that have ended, and those of ARGV, and returns all dead nodes. KEYS: leases, dead, sockets. */
const bury = `
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
for _, node in ipairs(ARGV) do table.insert(ended, node) end
for _, node in ipairs(ended) do
  redis.call('ZREM', KEYS[1], node)
  redis.call('SADD', KEYS[2], node)
  for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if string.sub(field, 1, #node + 1) == node .. ':' then redis.call('HDEL', KEYS[3], field) end
  end
end
return redis.call('SMEMBERS', KEYS[2])
`

/** All of them. */
export const nodeScripts = { beat, bury }
