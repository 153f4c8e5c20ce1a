-- include: finish, ids, keys, lanes, states, time, withdraw
-- Where a new delivery begins which its route has wait for something.

-- Returns the function that decides where a new delivery begins which its route has wait for something; made at the first
-- need.
local function open_lane_placement()
    local SUPERSEDED_AT_ONCE = 16
    local MOST_DELAYS = 10  -- a key that never falls quiet is delivered so often nevertheless

    -- Waits that no worker can end: meanwhile a newer one takes the place as ever.
    local STANDS_STILL = {o = true, p = true, a = true, d = true}

    -- Ends what waits in a lane before a newer delivery, and neither what runs nor what may run after *longest* ms of unrest.
    -- Returns the event of a still newer one that waits there, if any does, and since when the key has not been quiet.
    local function supersede(lane, event, longest)
        local key, since = lane_key(lane), now_ms
        for _, other in ipairs(redis.call('ZRANGE', key, 0, SUPERSEDED_AT_ONCE - 1)) do
            local id, n = parse_delivery(other)
            local state = read_place(id, n)
            local waits, began = state.s and not FINAL[state.s] and state.s ~= 'x', tonumber(state.d or now_ms)
            if waits and id > event then
                advance(lane)
                return id, since
            elseif waits and (began + longest > now_ms or STANDS_STILL[state.w]) then
                since = math.min(since, began)
                withdraw(id, n, state)
                redis.call('ZREM', key, other)
                note_end(other, 'discarded', 'superseded by ' .. event)
                finish(id, n, 'c', {g = state.g})
            end
        end
        return nil, since
    end

    -- Decides where a new delivery begins and adds the fields that say so to *fields*: 'q' in its queue, 'w' in the schedule,
    -- 'h' held in its lane, 'c' nowhere, because a newer one of its key waits already. *at*: when it was asked for.
    local function place(id, n, delivery, at, replaces, fields)
        local lane, delay = delivery.lane, delivery.delay
        local function set(letter, value) fields[#fields + 1] = n .. letter; fields[#fields + 1] = value end
        local newer, since, due = nil, now_ms, now_ms + delay
        if lane and delivery.is_debounced and replaces then
            newer, since = supersede(lane, id, MOST_DELAYS * delay)
            due = math.min(due, since + MOST_DELAYS * delay)
        end
        if newer then
            note_end(id .. '-' .. n, 'discarded', 'superseded by ' .. newer)
            set('s', 'c')
            return 'c'
        end
        local waits = delay == 0 and '' or delivery.is_debounced and 'b' or 'y'
        if waits ~= '' then set('t', due) end
        if waits == 'b' then set('d', since) end
        if delivery.per ~= '' then set('u', delivery.per) end
        if lane then
            set('l', lane)
            if not join_lane(lane, id .. '-' .. n, at) then
                set('s', 'h'); set('w', 'o'); set('e', delivery.timeout_s .. waits)
                return 'h'
            end
        end
        if waits == '' then
            set('s', 'q')
            return 'q'
        end
        set('s', 'w'); set('w', waits)
        redis.call('ZADD', scheduled_key(delivery.queue), due / 1000, id .. '-' .. n .. '-1')
        return 'w'
    end

    return place
end
