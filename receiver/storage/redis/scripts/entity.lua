-- include: keys
-- Tells which events are about an entity. Changes nothing.
--
-- ARGV: entity, ids of events (some hundred)
-- Returns those of the ids, in their order.

local found = {}
for at = 2, #ARGV do
    if redis.call('HGET', state_key(ARGV[at]), 'y') == ARGV[1] then found[#found + 1] = ARGV[at] end
end
return found
