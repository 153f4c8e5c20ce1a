-- include: held, ids, keys, requeue, spooled_lanes, states, time
-- What the scripts share that end deliveries or make them: lanes, in which the deliveries of one key follow one another,
-- and the places that deliveries hold before the gates of their routes.
--
-- A lane `{route}:{key}` is a sorted set of the deliveries of that key in flight. Its head has score 0 and is the only one
-- that may run; the others are held (`h`, waiting for `o`), have no job, and are scored by when they were asked for. A lane
-- exists only while something of its key is in flight.

-- Gives a lane a head when the last one has left: the first of those that wait. What has ended without leaving the lane (a
-- worker of an earlier version did not know of it) is passed over.
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

-- Puts a new delivery into its lane. *at*: Unix ms at which it was asked for. Returns whether it is the head. Another delivery
-- of the same event leads although its state is not written yet.
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

local function leave_lane(lane, delivery, iso)
    local key = lane_key(lane)
    redis.call('ZREM', key, delivery)
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[1] and tonumber(first[2]) ~= 0 then advance(lane, iso) end
end

-- The event whose delivery waits behind the head of a lane and takes its place: what the head did not do, it need not try
-- again. Returns it and why the head ends. It is debounced and newer, or planned (`at`), then also when the head did not fail.
local function successor(lane, event, has_failed)
    local second = redis.call('ZRANGE', lane_key(lane), 1, 1)[1]
    if not second then return nil end
    local id, n = parse_delivery(second)
    local waits = string.sub(redis.call('HGET', state_key(id), n .. 'e') or '', -1)
    if waits == 't' then return id, 'replaced by a newer event: ' .. id end
    if waits == 'b' and has_failed and id > event then return id, 'superseded by ' .. id end
end
