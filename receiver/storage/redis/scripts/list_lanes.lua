-- Lists lanes that have events in a spool. See spooled_lanes.lua.
--
-- ARGV: name of the spool, for how many ms the list is kept, then for each lane: its name, the last id of it
-- Returns how many lanes are listed.

local key = 'fd:spooled:' .. ARGV[1]
redis.call('HSET', key, '', '')
for i = 3, #ARGV, 2 do
    local last = redis.call('HGET', key, ARGV[i])
    if not last or last < ARGV[i + 1] then redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
redis.call('PEXPIRE', key, ARGV[2])
return redis.call('HLEN', key) - 1
