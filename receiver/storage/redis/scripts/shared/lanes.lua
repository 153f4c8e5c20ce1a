-- include: held, ids, keys, requeue, spooled_lanes, states, time
-- Lanes: the deliveries of one key of an ordered route follow one another.
--
-- A lane `{route}:{key}` is a sorted set of the deliveries of that key in flight. Its head has score 0 and is the only
-- one that may run; the others are held (`h`, waiting for `o`), have no job, and are scored by when they were asked
-- for. A lane exists only while something of its key is in flight.

-- Makes the first delivery that waits in a lane its head, when the last head has left, and queues it. Deliveries that
-- ended without leaving the lane (at a worker of an earlier version, which knew of no lanes) are removed.
local function advance(lane, iso)
    local key = lane_key(lane)
    while true do
        local first = redis.call('ZRANGE', key, 0, 0)[1]
        if not first then return end
        local id, n = parse_delivery(first)
        local state = id and redis.call('HMGET', state_key(id), n .. 's', n .. 'l', n .. 'w', n .. 'j', n .. 'q', n .. 'e',
            n .. 't')
        if not id or not state[1] or FINAL[state[1]] or state[2] ~= lane then
            redis.call('ZREM', key, first)
        else
            local is_held = state[1] == 'h' and state[3] == 'o'
            if is_held and must_wait(lane, id) then return look_again(lane) end
            redis.call('ZADD', key, 0, first)
            if is_held then
                local timeout_s, waits = string.match(state[6] or '', '^(%d+)(%a?)$')
                timeout_s, waits = timeout_s or '180', waits or ''
                local due = tonumber(state[7] or 0)
                redis.call('HDEL', state_key(id), n .. 'w', n .. 'e')
                requeue(id, n, tonumber(state[4] or 1), state[5], due, timeout_s, iso or '')
                if due > now_ms and waits ~= '' then redis.call('HSET', state_key(id), n .. 'w', waits) end
            end
            return
        end
    end
end

-- Puts a new delivery into its lane, and returns whether it is the head. *at*: Unix ms at which it was asked for. A
-- first delivery of the same event counts as a head that runs, although its state is not written yet.
local function join_lane(lane, delivery, at)
    local key, id = lane_key(lane), string.sub(delivery, 1, 20)
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[1] and string.sub(first[1], 1, 20) ~= id and not (tonumber(first[2]) == 0 and leads(lane, first[1])) then
        advance(lane)
        first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    end
    local is_behind = first[1] and (tonumber(first[2]) == 0 or tonumber(first[2]) <= at)
    if is_behind or must_wait(lane, id) then
        redis.call('ZADD', key, math.max(at, 1), delivery)
        if not is_behind then look_again(lane) end
        return false
    end
    redis.call('ZADD', key, 0, delivery)
    return true
end

-- Takes a delivery out of its lane; if it was the head, the next one becomes the head.
local function leave_lane(lane, delivery, iso)
    local key = lane_key(lane)
    redis.call('ZREM', key, delivery)
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[1] and tonumber(first[2]) ~= 0 then advance(lane, iso) end
end

-- Says whether the delivery behind the head of a lane replaces the head, which has had an attempt and would wait for
-- the next one. Returns the event of that delivery and the reason for the head to end; nil when the head goes on. A
-- planned delivery (`at`) always replaces the head; a debounced one does if it is newer and the attempt has failed.
local function successor(lane, event, has_failed)
    local second = redis.call('ZRANGE', lane_key(lane), 1, 1)[1]
    if not second then return nil end
    local id, n = parse_delivery(second)
    local waits = string.sub(redis.call('HGET', state_key(id), n .. 'e') or '', -1)
    if waits == 't' then return id, 'replaced by a newer event: ' .. id end
    if waits == 'b' and has_failed and id > event then return id, 'superseded by ' .. id end
end
