-- include: keys
-- The record of the attempts of a delivery.

-- Writes down an attempt that has ended, as the worker put it. Returns whether there was one; it is not counted yet.
local function note_attempt(id, n, attempt)
    if attempt == '' then return false end
    redis.call('RPUSH', 'fd:a:' .. id .. '-' .. n, attempt)
    return true
end

local function record(id, n, attempt)
    if note_attempt(id, n, attempt) then redis.call('HINCRBY', state_key(id), n .. 'a', 1) end
end
