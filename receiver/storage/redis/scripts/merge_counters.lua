-- include: indexes
-- Adds the counters of an hour that has no events any more to those of hour 0, the sum of all that is long over.
--
-- ARGV: hour
-- Returns 1 when it was done, 0 when the hour has events.

local hour = ARGV[1]
if redis.call('EXISTS', INDEX .. hour) == 1 or hour == '0' then return 0 end
local counters = redis.call('HGETALL', 'fd:c:' .. hour)
for i = 1, #counters, 2 do redis.call('HINCRBY', 'fd:c:0', counters[i], counters[i + 1]) end
redis.call('DEL', 'fd:c:' .. hour)
for _, key in ipairs({'fd:sealed', 'fd:unsealed', 'fd:hours', 'fd:due'}) do redis.call('ZREM', key, hour) end
redis.call('ZADD', 'fd:sealed', 0, 0)
return 1
