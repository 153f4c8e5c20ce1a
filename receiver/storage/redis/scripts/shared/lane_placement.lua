-- include: begin, finish, ids, keys, lanes, states, time, withdraw
-- Where a new delivery begins whose route has `order`, `debounce`, `delay` or limits.

-- Returns the function `place` below. It is made when the first such delivery of a call needs it.
local function open_lane_placement()
    local SUPERSEDED_AT_ONCE = 16
    local MOST_DELAYS = 10  -- a key that never falls quiet is delivered so often nevertheless

    -- What a delivery waits for that no worker can end (the `w` of its state). A newer delivery replaces such a one
    -- even when its key has not been quiet for long.
    local STANDS_STILL = {o = true, p = true, a = true, d = true}

    -- Ends the deliveries that wait in a lane, for a newer one of *event* replaces them. What runs stays; so does what
    -- waits only because its key was not quiet, once that has lasted *longest* ms. Returns the event of a still newer
    -- delivery that waits there (nil: there is none), and the Unix ms since when the key has not been quiet.
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

    -- Decides where a new delivery begins, and appends the fields of its state to *fields*. Returns 'q' for its queue,
    -- 'w' for the schedule, 'h' when its lane holds it, 'c' for nowhere, because a newer one of its key waits already.
    -- *at*: Unix ms at which it was asked for; *replaces*: whether a debounced one replaces those that wait (a replay
    -- does not).
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
        if waits == 'b' then set('d', since) end
        return begin_delivery(id, n, delivery, at, waits, due, set)
    end

    return place
end
