-- Adds lanes to the list of those that have events in a spool. spooled_lanes.lua explains what for.
--
-- ARGV: name of the spool, ms for which the list is kept, then for each lane: its name, the id of its last event in the
-- spool
-- Returns how many lanes the list holds.

local key = 'fd:spooled:' .. ARGV[1]
redis.call('HSET', key, '', '')
for i = 3, #ARGV, 2 do
    local last = redis.call('HGET', key, ARGV[i])
    if not last or last < ARGV[i + 1] then redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
redis.call('PEXPIRE', key, ARGV[2])
return redis.call('HLEN', key) - 1
