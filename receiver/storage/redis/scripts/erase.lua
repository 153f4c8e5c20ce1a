-- Puts an empty record in the place of an event's own, ends its deliveries and clears what was said about it.
-- The event stays counted as what it is, so the audit stays at 0.
--
-- ARGV: event id, the envelope without the record
-- Returns how many deliveries were cancelled; false when the event is not kept.

local id, envelope = ARGV[1], ARGV[2]
local key = state_key(id)
local state = read_state(id)
if not state then return false end

local function cancel(n)
    local had = read_place(id, n)
    withdraw(id, n, had)
    finish(id, n, 'c', had)
    note_end(id .. '-' .. n, 'discarded', 'erased')
end

-- A handler may have put anything into its errors.
local function clear_errors(n)
    local attempts = 'fd:a:' .. id .. '-' .. n
    for at, written in ipairs(redis.call('LRANGE', attempts, 0, -1)) do
        local is_read, attempt = pcall(cjson.decode, written)
        is_read = is_read and type(attempt) == 'table'
        if not is_read then attempt = {outcome = 'failed'} end
        if attempt.error or not is_read then
            attempt.error = 'erased'
            redis.call('LSET', attempts, at - 1, cjson.encode(attempt))
        end
    end
end

local cancelled = 0
for n = 1, tonumber(state.n) do
    clear_errors(n)
    if not FINAL[state[n .. 's']] then
        cancel(n)
        cancelled = cancelled + 1
    end
    redis.call('HDEL', key, n .. 'u')  -- the digest of a key that may have been a name
end
if state.k == 'q' then resize_quarantined(id, state.h, #envelope) end
redis.call('SET', envelope_key(id), envelope)
redis.call('HSET', key, 'e', 1)
redis.call('DEL', 'fd:once:' .. id, portions_key(id))
redis.call('SREM', 'fd:unmade', id)
if state.y then
    if redis.call('HGET', entity_key(state.y), state.y) == id then redis.call('HDEL', entity_key(state.y), state.y) end
    redis.call('HDEL', key, 'y')
end
write_counts()
return cancelled
