-- include: counters, entities, finish, keys, quarantine, states, withdraw
-- Erases an event: replaces its record by an empty one, ends its deliveries, and clears the errors of its attempts.
-- The event is still counted as before, so the audit stays at 0.
--
-- ARGV: event id, the envelope without the record, number of the delivery to begin with, deliveries at most
-- An event with many deliveries takes several calls. The first one prevents that further deliveries are made, each ends
-- some, and the last one replaces the record: a command that was interrupted finds the event again by its record.
-- Returns how many deliveries were cancelled, and the number to begin the next call with (0: that was all); false when
-- the event is not kept.

local id, envelope, first, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local key = state_key(id)
local state = redis.call('HMGET', key, 'n', 'k', 'h', 'y')
local made, kind, hook, entity = tonumber(state[1]), state[2], state[3], state[4]
if redis.call('EXISTS', key) == 0 then return false end

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

local function put_away()
    if kind == 'q' then resize_quarantined(id, hook, #envelope) end
    redis.call('SET', envelope_key(id), envelope)
    redis.call('HSET', key, 'e', 1)
    redis.call('DEL', 'fd:once:' .. id)
    if entity then
        if redis.call('HGET', entity_key(entity), entity) == id then redis.call('HDEL', entity_key(entity), entity) end
        redis.call('HDEL', key, 'y')
    end
end

redis.call('DEL', portions_key(id))
redis.call('SREM', 'fd:unmade', id)
local last = math.min(made or 0, first + most - 1)
local cancelled = 0
for n = first, last do
    clear_errors(n)
    local letter = redis.call('HGET', key, n .. 's')
    if letter and not FINAL[letter] then
        cancel(n)
        cancelled = cancelled + 1
    end
    redis.call('HDEL', key, n .. 'u')  -- the digest of a key that may have been a name
end
local is_done = last >= (made or 0)
if is_done then put_away() end
write_counts()
return {cancelled, is_done and 0 or last + 1}
