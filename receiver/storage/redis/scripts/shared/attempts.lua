-- include: keys
-- The record of the attempts of a delivery.

-- Appends an attempt that has ended (JSON, as the worker wrote it; '' for none). Returns whether there was one; the
-- caller has to count it in the field `a` of the delivery.
local function note_attempt(id, n, attempt)
    if attempt == '' then return false end
    redis.call('RPUSH', 'fd:a:' .. id .. '-' .. n, attempt)
    return true
end

-- Appends an attempt, and counts it.
local function record(id, n, attempt)
    if note_attempt(id, n, attempt) then redis.call('HINCRBY', state_key(id), n .. 'a', 1) end
end
