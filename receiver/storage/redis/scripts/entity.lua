-- include: keys
-- Picks the events that are about one entity, and changes nothing.
--
-- ARGV: entity, ids of events (some hundred)
-- Returns the ids of those events, in the order of ARGV.

local found = {}
for at = 2, #ARGV do
    if redis.call('HGET', state_key(ARGV[at]), 'y') == ARGV[1] then found[#found + 1] = ARGV[at] end
end
return found
