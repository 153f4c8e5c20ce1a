-- include: counters, lanes, spooled_lanes
-- Lets lanes go on whose events have been drained from a spool. spooled_lanes.lua explains why they waited.
--
-- ARGV: name of the spool, the id up to which every event of its lanes is in the store, the lanes
-- Returns nothing.

local spool, done = ARGV[1], ARGV[2]
local said = read_said(redis.call('HGET', 'fd:receivers', spool))
if said and done > said.done then
    redis.call('HSET', 'fd:receivers', spool,
        string.format('%d %d %d %s %s', said.at, said.lease, said.heard, said.kind, done))
end
for i = 3, #ARGV do
    local last = redis.call('HGET', 'fd:spooled:' .. spool, ARGV[i])
    if last and last <= done then redis.call('HDEL', 'fd:spooled:' .. spool, ARGV[i]) end
    advance(ARGV[i])
end
write_counts()
