-- Returns the function that decides where a new delivery begins which its route has wait for something; made at the first
-- need.
local function open_lanes()
    -- What a delivery is to wait for, as the receiver wrote it: lane, key of its limits, delay in ms, 'd' when it is debounced.
    local function parse_terms(terms)
        local lane, per, delay, debounced = string.match(terms, '^([%w_-]*)|([%w_-]*)|(%d+)|(d?)$')
        return {lane = lane, per = per, delay = tonumber(delay), is_debounced = debounced == 'd'}
    end

    local SUPERSEDED_AT_ONCE = 16

    -- Ends what waits in a lane before a newer delivery, and not what runs. Returns the event of a still newer one that waits
    -- there, if any does.
    local function supersede(lane, event)
        local key = lane_key(lane)
        for _, other in ipairs(redis.call('ZRANGE', key, 0, SUPERSEDED_AT_ONCE - 1)) do
            local id, n = parse_delivery(other)
            local state = read_place(id, n)
            if state.s and not FINAL[state.s] and state.s ~= 'x' then
                if id > event then
                    advance(lane)
                    return id
                end
                withdraw(id, n, state)
                redis.call('ZREM', key, other)
                note_end(other, 'discarded', 'superseded by ' .. event)
                finish(id, n, 'c', {g = state.g})
            end
        end
    end

    -- Decides where a new delivery begins and adds the fields that say so to *fields*: 'q' in its queue, 'w' in the schedule,
    -- 'h' held in its lane, 'c' nowhere, because a newer one of its key waits already. *at*: when it was asked for.
    local function place(id, n, delivery, at, replaces, fields)
        local terms = parse_terms(delivery.terms)
        local lane = terms.lane ~= '' and delivery.route .. ':' .. terms.lane
        local function set(letter, value) fields[#fields + 1] = n .. letter; fields[#fields + 1] = value end
        local newer = lane and terms.is_debounced and replaces and supersede(lane, id)
        if newer then
            note_end(id .. '-' .. n, 'discarded', 'superseded by ' .. newer)
            set('s', 'c')
            return 'c'
        end
        local waits = terms.delay == 0 and '' or terms.is_debounced and 'b' or 'y'
        if waits ~= '' then set('t', now_ms + terms.delay) end
        if terms.per ~= '' then set('u', terms.per) end
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
        redis.call('ZADD', scheduled_key(delivery.queue), (now_ms + terms.delay) / 1000, id .. '-' .. n .. '-1')
        return 'w'
    end

    return place
end
