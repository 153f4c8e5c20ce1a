-- Take one call (and one write) from the buckets that all processes share, or say how long to wait.
-- KEYS: 1 the buckets' hash. ARGV: 1 "1" for a write; 2 "1" for the registrar; 3, 4 burst and rate per second of calls;
-- 5, 6 of writes. Returns 0 when taken, else the microseconds to wait.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local state = redis.call('HMGET', KEYS[1], 'at', 'calls', 'writes', 'first')
local first = tonumber(state[4] or 0)
local is_write, is_first = ARGV[1] == '1', ARGV[2] == '1'
local bursts = {tonumber(ARGV[3]), tonumber(ARGV[5])}
local rates = {tonumber(ARGV[4]), tonumber(ARGV[6])}
local passed = math.max(0, now - tonumber(state[1] or 0)) / 1000000
local levels = {}
for i = 1, 2 do
  levels[i] = math.min(bursts[i], tonumber(state[i + 1] or bursts[i]) + passed * rates[i])
end
local wait = 0
for i = 1, is_write and 2 or 1 do
  if levels[i] < 1 then
    wait = math.max(wait, math.ceil((1 - levels[i]) / rates[i] * 1000000) + 100)
  end
end
-- The registrar goes first: while it waits, nobody else takes what it waits for.
if not is_first and first > now then
  wait = math.max(wait, first - now + 1000)
end
if wait == 0 then
  levels[1] = levels[1] - 1
  if is_write then levels[2] = levels[2] - 1 end
  if is_first then first = 0 end
elseif is_first then
  first = now + wait + 250000
end
redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now), 'calls', string.format('%.6f', levels[1]),
  'writes', string.format('%.6f', levels[2]), 'first', string.format('%.0f', first))
redis.call('PEXPIRE', KEYS[1], 600000)
return wait
