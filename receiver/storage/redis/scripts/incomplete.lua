-- include: counters, ids, indexes, keys
-- on demand: leftovers
-- Finds events that have a state and no envelope, and removes what is left of them. There are two causes. A call of
-- keep.lua failed in the middle: up to release 0.2.0 its events stayed like this, since then the next call with their
-- ids completes them. Or the envelope of a kept event was deleted: such an event is in the list of its hour, and is
-- counted.
--
-- ARGV: 'scan', a cursor of SCAN, keys at most; or the time as RQ writes it, then ids, behind
--   'look'   to check again whether they are incomplete
--   'clear'  to remove those that are incomplete and not listed: they were never kept
--   'drop'   to remove the state of all that are incomplete; one that is listed is counted, and is left to write_off.lua
-- Returns the ids that are incomplete (with 'clear' also not listed); of a scan, with the next cursor in front.

local verb = ARGV[1]
local function is_incomplete(id)
    return redis.call('EXISTS', envelope_key(id)) == 0 and redis.call('EXISTS', state_key(id)) == 1
end

if verb == 'scan' then
    local page = redis.call('SCAN', ARGV[2], 'MATCH', state_key('*'), 'COUNT', ARGV[3])
    local found = {page[1]}
    for _, key in ipairs(page[2]) do
        local id = string.sub(key, 6)
        if #id == 20 and id_ms(id) and is_incomplete(id) then found[#found + 1] = id end
    end
    return found
end

local found = {}
for i = 3, #ARGV do
    local id = ARGV[i]
    if is_incomplete(id) then
        local is_listed = verb ~= 'look' and redis.call('LPOS', INDEX .. id_hour(id), id)
        if verb == 'look' or verb == 'drop' or not is_listed then found[#found + 1] = id end
        if verb == 'drop' or (verb == 'clear' and not is_listed) then open_leftovers()(id, ARGV[2], is_listed) end
    end
end
write_counts()
return found
