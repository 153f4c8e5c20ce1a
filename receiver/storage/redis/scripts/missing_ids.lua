-- include: ids, indexes, keys
-- Finds events that are missing from a list that should name them, and adds them if asked to.
--
-- ARGV: 'look' or 'repair', then for each event: the list (its name without the prefix `fd:i:`), event id
-- Returns the ids that were missing when the call began. One without a state is not added even by 'repair'.

local mends = ARGV[1] == 'repair'
local missing = {}
for i = 2, #ARGV, 2 do
    local list, id = ARGV[i], ARGV[i + 1]
    local key = INDEX .. list
    local has_state = redis.call('EXISTS', state_key(id)) == 1
    if (has_state or redis.call('EXISTS', envelope_key(id)) == 1) and not redis.call('LPOS', key, id) then
        missing[#missing + 1] = id
        if mends and has_state then
            redis.call('RPUSH', key, id)
            redis.call('ZADD', 'fd:hours', id_hour(id), id_hour(id))
        end
    end
end
return missing
