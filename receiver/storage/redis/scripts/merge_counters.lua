-- include: indexes
-- Adds the counters of an hour whose events have all expired to those of hour 0, which is the sum of all such hours.
--
-- ARGV: hour
-- Returns 1; 0 when the hour still has events, and then nothing is changed.

local hour = ARGV[1]
if redis.call('EXISTS', INDEX .. hour) == 1 or hour == '0' then return 0 end
local counters = redis.call('HGETALL', 'fd:c:' .. hour)
for i = 1, #counters, 2 do redis.call('HINCRBY', 'fd:c:0', counters[i], counters[i + 1]) end
redis.call('DEL', 'fd:c:' .. hour)
for _, key in ipairs({'fd:sealed', 'fd:unsealed', 'fd:hours', 'fd:due'}) do redis.call('ZREM', key, hour) end
redis.call('ZADD', 'fd:sealed', 0, 0)
return 1
