/** The scripts about one channel: what each says is absolute, so that saying it again changes nothing. */

import { unsigned } from '../../bus/redis/names.ts'
import { largeChannel } from '../roster.ts'

/** How they tell what has changed. */
export const publishing = "redis.call('PUBLISH',"

/**
 * What the scripts about one channel share. They return what the caller has to do: a list of lists of words, such as
 * `occupied`, `goodbye FIELD VALUE`, `counted N`.
 *
 * The hash of a channel: `t` sockets in all, `s:NODE` a node's, `n` users, `m:NODE:USER` a user is on a node (2: and was
 * noticed by it), `o:NODE` the node has noticed that it is occupied, `u:USER` on how many nodes, `i:USER` the member,
 * `v` the version, `g` and `g:USER` goodbyes, `c` and `ct` which count was told last, and when.
 */
const shared = `
local key = KEYS[1]
local node, subject, flags, pause = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local function has(flag) return string.find(flags, flag, 1, true) ~= nil end
local todo = {}
local function number(field) return tonumber(redis.call('HGET', key, field) or '0') end
local function put(field, value)
  if value > 0 then redis.call('HSET', key, field, value) else redis.call('HDEL', key, field) end
end
local function micros()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local function text(whole) return string.format('%.0f', whole) end
local function say(message) ${publishing} subject, '${unsigned}' .. message) end

local function rise()
  local version = text(math.max(number('v') + 1, micros()))
  redis.call('HSET', key, 'v', version)
  return version
end

-- Where a goodbye is pending it has not been told that anybody left. Returns whether there is something to tell.
local function greet(field, word)
  if not has('h') then return false end
  local pending = redis.call('HGET', key, field)
  redis.call('HDEL', key, field)
  if pending and string.sub(pending, 1, 6) ~= 'ended ' then return false end
  table.insert(todo, { word })
  return true
end

local function goodbye(field, rest)
  if not has('h') then return end
  local value = node .. ' ' .. text(micros()) .. ' ' .. rest
  redis.call('HSET', key, field, value)
  table.insert(todo, { 'goodbye', field, value })
end

-- A goodbye of this node, whose answer was lost.
local function repeatGoodbye(field)
  local value = redis.call('HGET', key, field)
  if value and string.sub(value, 1, #node + 1) == node .. ' ' then table.insert(todo, { 'goodbye', field, value }) end
end

-- What was told last is compared where it is known: also a count that was told while others were missing is put right.
local function count(before)
  if not has('c') then return end
  local now, sockets = math.floor(micros() / 1000), number('t')
  if sockets == (tonumber(redis.call('HGET', key, 'c') or nil) or before) then return end
  local wait = number('ct') + pause - now
  if sockets > ${largeChannel} and wait > 0 then
    table.insert(todo, { 'due', text(wait) })
    return
  end
  redis.call('HSET', key, 'c', sockets, 'ct', text(now))
  say('=' .. sockets)
  table.insert(todo, { 'counted', text(sockets) })
end

local function move(before, after)
  put('t', after)
  if before == 0 and after > 0 then
    if has('u') then
      say('!')
    elseif greet('g', 'occupied') then
      redis.call('HSET', key, 'o:' .. node, 1)
    end
  elseif before > 0 and after == 0 then
    if has('u') then say('?') else goodbye('g', '') end
  end
  count(before)
end

-- had is 1 where the member was here before Redis was emptied; member is what is told then.
local function leave(owner, user, had, member)
  local mine, on = redis.call('HDEL', key, 'm:' .. owner .. ':' .. user), number('u:' .. user)
  local before = mine == 1 and on or on + had
  local after = on - mine
  member = redis.call('HGET', key, 'i:' .. user) or member
  put('u:' .. user, after)
  if mine == 1 and after == 0 then
    redis.call('HDEL', key, 'i:' .. user)
    put('n', number('n') - 1)
  end
  if before > 0 and after == 0 then
    say('-' .. rise() .. ' ' .. member)
    goodbye('g:' .. user, member)
  end
end

local function done()
  local kept = redis.call('HEXISTS', key, 'v') + redis.call('HEXISTS', key, 'c') + redis.call('HEXISTS', key, 'ct')
  if redis.call('HLEN', key) == kept then redis.call('DEL', key) end
  return todo
end
`

/**
 * Says how many sockets the node has: ARGV[5]; [6] how many it had; [7] `lost` where an answer was lost,
 * `new` where none ever came. What the lost answer left to do is returned once more.
 */
const occupy = `${shared}
local sockets, had = tonumber(ARGV[5]), tonumber(ARGV[6])
local stored, total = number('s:' .. node), number('t')
-- Without an entry though it had one, Redis was emptied: what the others know has not changed by that.
local before = stored > 0 and total or total + had
put('s:' .. node, sockets)
move(before, total - stored + sockets)
if stored > 0 and ARGV[7] == 'new' and redis.call('HEXISTS', key, 'o:' .. node) == 1 then
  table.insert(todo, 1, { 'occupied' })
end
if stored == 0 and ARGV[7] ~= '' and number('t') == 0 then repeatGoodbye('g') end
if sockets == 0 then redis.call('HDEL', key, 'o:' .. node) end
return done()
`

/**
 * Says that a user is on the node: ARGV[5] user, [6] member, [7] how many may be there (-1: any), [8] was here before,
 * [9] as above.
 */
const join = `${shared}
local user, member, max, had = ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local mine, on = 'm:' .. node .. ':' .. user, number('u:' .. user)
local found = redis.call('HGET', key, mine)
if found then
  -- The answer that said so was lost.
  if found == '2' and ARGV[9] == 'new' then table.insert(todo, { 'added' }) end
  return todo
end
if on + had == 0 and max >= 0 and number('n') >= max then
  table.insert(todo, { 'full' })
  return done()
end
redis.call('HSET', key, mine, 1)
put('u:' .. user, on + 1)
if on == 0 then
  redis.call('HSET', key, 'i:' .. user, member)
  put('n', number('n') + 1)
end
if on + had == 0 then
  say('+' .. rise() .. ' ' .. member)
  if greet('g:' .. user, 'added') then redis.call('HSET', key, mine, 2) end
end
return todo
`

/** Says that a user is no longer on the node: ARGV[5] user, [6] member, [7] was here before, [8] as above. */
const leave = `${shared}
local user, lost = ARGV[5], ARGV[8]
local mine = redis.call('HGET', key, 'm:' .. node .. ':' .. user)
if mine == '2' and lost == 'new' then table.insert(todo, { 'added' }) end
local isGone = not mine and number('u:' .. user) == 0
leave(node, user, tonumber(ARGV[7]), ARGV[6])
if isGone and lost ~= '' then repeatGoodbye('g:' .. user) end
return done()
`

/** Takes everything of a dead node, ARGV[5], out of a channel; its goodbyes are the caller's from now on. */
const reap = `${shared}
local dead = ARGV[5]
local member = 'm:' .. dead .. ':'
for _, field in ipairs(redis.call('HKEYS', key)) do
  if string.sub(field, 1, #member) == member then
    leave(dead, string.sub(field, #member + 1), 0, '')
  elseif field == 'g' or string.sub(field, 1, 2) == 'g:' then
    local owner, _, rest = string.match(redis.call('HGET', key, field), '^(%S+) (%d+) (.*)$')
    if owner == dead then
      redis.call('HDEL', key, field)
      goodbye(field, rest)
    elseif owner == nil then
      redis.call('HDEL', key, field)
    else
      repeatGoodbye(field)
    end
  end
end
local stored, total = number('s:' .. dead), number('t')
if stored > 0 then
  put('s:' .. dead, 0)
  move(total, total - stored)
end
redis.call('HDEL', key, 'o:' .. dead)
return done()
`

/**
 * Ends a goodbye: ARGV[5] its field, [6] its value. Nothing where somebody came back or took it over. That it was ended
 * is kept until `finish` says that the answer has come.
 */
const confirm = `${shared}
local field, value = ARGV[5], ARGV[6]
local found = redis.call('HGET', key, field)
if found ~= value and found ~= 'ended ' .. value then return todo end
if number(field == 'g' and 't' or 'u:' .. string.sub(field, 3)) == 0 then
  redis.call('HSET', key, field, 'ended ' .. value)
  table.insert(todo, { 'gone' })
  return todo
end
redis.call('HDEL', key, field)
return done()
`

const finish = `${shared}
if redis.call('HGET', key, ARGV[5]) == 'ended ' .. ARGV[6] then redis.call('HDEL', key, ARGV[5]) end
return done()
`

/** Tells a count that had to wait. */
const due = `${shared}
count(0)
return done()
`

/** Returns the version and the members of a channel. */
const members = `
local time = redis.call('TIME')
local found = { string.format('%.0f', time[1] * 1000000 + time[2] - 1) }
local all = redis.call('HGETALL', KEYS[1])
for n = 1, #all, 2 do
  if all[n] == 'v' then found[1] = all[n + 1] end
  if string.sub(all[n], 1, 2) == 'i:' then table.insert(found, all[n + 1]) end
end
return found
`

/** Keeps a cached event, ARGV[1], for ARGV[2] seconds, with a version in front, which it returns. */
const keep = `
local time = redis.call('TIME')
local before = tonumber(string.match(redis.call('GET', KEYS[1]) or '', '^%d+') or '0')
local version = string.format('%.0f', math.max(before + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[1], version .. ARGV[1], 'EX', ARGV[2])
return version
`

/** All of them. */
export const channelScripts = { occupy, join, leave, reap, confirm, finish, due, members, keep }
