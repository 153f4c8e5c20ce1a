-- Takes one call to Nexudus (and one write) from the budget that all processes share, or says how long to wait.
--
-- Two kinds of limits must allow it: token buckets for the limits per minute, and counts in slots for those per hour
-- and day.
--
-- KEYS: hash of the buckets, hash of the slots
-- ARGV: '1' for a write, '1' for the registrar, burst and rate per second of calls, burst and rate per second of
-- writes,
--   calls in an hour, writes in a day
-- Returns 0 when the call is taken, else the microseconds to wait before asking again.

local MOST_IN_A_SLOT = 1000000
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local state = redis.call('HMGET', KEYS[1], 'at', 'calls', 'writes', 'first')
-- A number that this script cannot have written counts as none: it must not hold up all calls.
local first = tonumber(state[4]) or 0
if first > now + 3600000000 then first = 0 end
local is_write, is_first = ARGV[1] == '1', ARGV[2] == '1'
local bursts = {tonumber(ARGV[3]), tonumber(ARGV[5])}
local rates = {tonumber(ARGV[4]), tonumber(ARGV[6])}
local passed = math.max(0, now - (tonumber(state[1]) or 0)) / 1000000
local levels = {}
for i = 1, 2 do
  levels[i] = math.min(bursts[i], math.max(tonumber(state[i + 1]) or bursts[i], 0) + passed * rates[i])
end
local wait = 0
for i = 1, is_write and 2 or 1 do
  if levels[i] < 1 then
    wait = math.max(wait, math.ceil((1 - levels[i]) / rates[i] * 1000000) + 100)
  end
end
-- The limits per hour and day count by slots: a minute of calls (`c`), a quarter of an hour of writes (`w`). One slot
-- more than the window has is added up, so that no hour and no day holds more than the limit, wherever it begins.
local counted, over = redis.call('HGETALL', KEYS[2]), {}
local windows = {c = {60000000, 60, tonumber(ARGV[7])}, w = {900000000, 96, tonumber(ARGV[8])}}
local is_long = false
local sums, oldest = {c = 0, w = 0}, {}
for i = 1, #counted, 2 do
  local kind, slot = string.sub(counted[i], 1, 1), tonumber(string.sub(counted[i], 2))
  local width, slots = unpack(windows[kind] or {1, 0})
  local count, latest = tonumber(counted[i + 1]), math.floor(now / width)
  if not (slot and count) or slot < latest - slots or slot > latest + 1 or count > MOST_IN_A_SLOT then
    over[#over + 1] = counted[i]
  else
    sums[kind] = sums[kind] + count
    oldest[kind] = math.min(oldest[kind] or slot, slot)
  end
end
for kind, window in pairs(windows) do
  local width, slots, most = unpack(window)
  if (kind == 'c' or is_write) and sums[kind] >= most then
    wait = math.max(wait, (oldest[kind] + slots + 1) * width - now)
    is_long = true
  end
end
-- The registrar goes first: `first` is the time (in microseconds) until which its next call is reserved, and others
-- wait.
if not is_first and first > now then
  wait = math.max(wait, first - now + 1000)
end
if wait == 0 then
  levels[1] = levels[1] - 1
  if is_write then levels[2] = levels[2] - 1 end
  if is_first then first = 0 end
  redis.call('HINCRBY', KEYS[2], 'c' .. string.format('%.0f', math.floor(now / 60000000)), 1)
  if is_write then redis.call('HINCRBY', KEYS[2], 'w' .. string.format('%.0f', math.floor(now / 900000000)), 1) end
  redis.call('PEXPIRE', KEYS[2], 88000000)
elseif is_first and not is_long then
  first = now + wait + 250000
end
redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now), 'calls', string.format('%.6f', levels[1]),
  'writes', string.format('%.6f', levels[2]), 'first', string.format('%.0f', first))
redis.call('PEXPIRE', KEYS[1], 600000)
if #over > 0 then redis.call('HDEL', KEYS[2], unpack(over)) end
return wait
