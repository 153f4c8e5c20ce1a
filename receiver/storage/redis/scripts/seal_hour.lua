-- Seals an hour whose counters were found to agree with its events. From then on the audit reads the counters alone,
-- until one of them changes (counters.lua unseals the hour).
--
-- ARGV: hour, then the names and values of all its counters as they were when its events were counted
-- Returns 1 when the hour is sealed now; 0 when a counter has changed meanwhile.

local hour = ARGV[1]
local expected, count_expected = {}, 0
for i = 2, #ARGV, 2 do
    expected[ARGV[i]] = ARGV[i + 1]
    count_expected = count_expected + 1
end
local now = redis.call('HGETALL', 'fd:c:' .. hour)
if #now ~= count_expected * 2 then return 0 end
for i = 1, #now, 2 do
    if expected[now[i]] ~= now[i + 1] then return 0 end
end
redis.call('ZADD', 'fd:sealed', hour, hour)
redis.call('ZREM', 'fd:unsealed', hour)
return 1
