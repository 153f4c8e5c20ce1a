-- include: begin, finish, ids, keys, states, time, withdraw
-- Where the delivery of a route with `at` begins, and which waiting deliveries its event ends.
--
-- Of one entity at most one delivery waits for its time, in the lane of the entity. A delivery that runs goes on
-- whatever comes. An event replaces the one that waits, or calls it off, unless it is older than the event that did so
-- last. Of two events that is older whose record was changed in an earlier second; within one second, the one that came
-- earlier. One exception: when an action called the delivery off (`cancelled_by`), no event of the same second plans it
-- again.
--
--   fd:t:{lane}  string: the last decision about that entity, `updated event verb due delivery action`. updated: Unix second in
--                which the record was changed (0: unknown); event: id of the event that decided; verb: `p` it planned a
--                delivery, or the delivery was called off by its action (`c`), by the filter (`w`), or because it has no time
--                (`n`); due: Unix ms at which the delivery planned last is due; delivery: its id; action: of the event. Kept
--                for 35 days after it was written, or after due if that is later

-- Returns two functions, `place` and `calls_off` below. They are made when the first such delivery of a call needs
-- them.
local function open_timed_placement()
    local REMEMBERED_MS = 35 * 86400000
    local LOOKED_AT_ONCE = 16

    local function word_key(lane) return 'fd:t:' .. lane end

    local function read_word(lane)
        local updated, id, verb, due, delivery, why = string.match(redis.call('GET', word_key(lane)) or '',
            '^(%d+) (%w+) (%a) (%d+) (%S+) (.*)$')
        if not updated then return nil end
        return {updated = tonumber(updated), id = id, verb = verb, due = due, delivery = delivery, why = why}
    end

    local function write_word(id, delivery, verb, due, planned)
        local lasts = math.max(tonumber(due) - now_ms, 0) + REMEMBERED_MS
        local said = string.format('%.0f %s %s %s %s %s', delivery.updated, id, verb, due, planned, delivery.why)
        redis.call('SET', word_key(delivery.lane), said, 'PX', string.format('%.0f', lasts))
    end

    local function is_older(id, delivery, word)
        if id == word.id then return false end
        if delivery.updated > 0 and word.updated > 0 then
            if delivery.updated ~= word.updated then return delivery.updated < word.updated end
            if word.verb == 'c' and delivery.ending ~= 'c' then return true end
        end
        return id < word.id
    end

    -- Whether the delivery that was planned last was for the time *due*, and has succeeded. One that has expired since
    -- is believed to have succeeded.
    local function is_delivered(event, word, due)
        local id, n = parse_delivery(word.delivery)
        if not id or id == event or tonumber(word.due) ~= due then return false end
        local letter = redis.call('HGET', state_key(id), n .. 's')
        return not letter or letter == 's'
    end

    -- Calls *act* (which may be nil) for each delivery of a lane that waits. Returns the last of them; nil when none
    -- waits.
    local function each_waiting(lane, act)
        local found = nil
        for _, other in ipairs(redis.call('ZRANGE', lane_key(lane), 0, LOOKED_AT_ONCE - 1)) do
            local id, n = parse_delivery(other)
            local state = id and read_place(id, n)
            if state and state.s and not FINAL[state.s] and state.s ~= 'x' then
                found = other
                if act then act(other, id, n, state) end
            end
        end
        return found
    end

    local function why_ended(verb, action, id)
        if verb == 'c' then return 'called off by ' .. action .. ': ' .. id end
        if verb == 'w' then return 'called off by ' .. action .. ', which `where` does not match: ' .. id end
        if verb == 'n' then return 'replaced by a newer event, which has no time: ' .. id end
        return 'replaced by a newer event: ' .. id
    end

    -- Ends the deliveries that wait in a lane. Returns the last of them; nil when none waited.
    local function clear(lane, why)
        return each_waiting(lane, function(other, id, n, state)
            withdraw(id, n, state)
            redis.call('ZREM', lane_key(lane), other)
            note_end(other, 'discarded', why)
            finish(id, n, 'c', {g = state.g})
        end)
    end

    -- The reason written into the record of a delivery that starts nothing: it only ended others.
    local function own_end(delivery, ended)
        if delivery.ending == 'n' then return 'no time: ' .. delivery.why end
        if delivery.ending == 'w' then return 'called off ' .. (ended or 'nothing') .. ': `where` does not match' end
        return 'called off ' .. (ended or 'nothing: no delivery waited')
    end

    -- Returns where the delivery begins, as `place` does.
    local function start(id, n, delivery, set)
        local waits = delivery.due > now_ms and 't' or ''
        return begin_delivery(id, n, delivery, now_ms, waits, delivery.due, set)
    end

    -- Decides where a new delivery begins, with the result of `place` of lane_placement.lua. *is_asked*: it is a
    -- replay, which runs even if its time has been served already.
    local function place(id, n, delivery, is_asked, fields)
        local lane, verb = delivery.lane, delivery.ending == '' and 'p' or delivery.ending
        local function set(letter, value) fields[#fields + 1] = n .. letter; fields[#fields + 1] = value end
        local function ends(why)
            note_end(id .. '-' .. n, 'discarded', why)
            set('s', 'c')
            return 'c'
        end
        local word = lane and read_word(lane)
        if word and is_older(id, delivery, word) then return ends(why_ended(word.verb, word.why, word.id)) end
        if word and verb == 'p' and not is_asked and is_delivered(id, word, delivery.due) then
            write_word(id, delivery, verb, word.due, word.delivery)
            return ends('delivered for that time already: ' .. word.delivery)
        end
        local ended = lane and clear(lane, why_ended(verb, delivery.why, id))
        if verb == 'p' then
            if lane then write_word(id, delivery, verb, string.format('%.0f', delivery.due), id .. '-' .. n) end
            return start(id, n, delivery, set)
        end
        if lane then write_word(id, delivery, verb, word and word.due or '0', word and word.delivery or '-') end
        return ends(own_end(delivery, ended))
    end

    -- Whether an event that the filter does not match calls off a delivery that waits. If none waits, it only writes
    -- down that the event was seen, so that an older event that comes later plans nothing.
    local function calls_off(id, delivery)
        local word = delivery.lane and read_word(delivery.lane)
        if not delivery.lane or word and is_older(id, delivery, word) then return false end
        if each_waiting(delivery.lane) then return true end
        write_word(id, delivery, delivery.ending, word and word.due or '0', word and word.delivery or '-')
        return false
    end

    return place, calls_off
end
