-- include: counters, entities, finish, ids, keys, lanes, quarantine, states, withdraw
-- Removes what a call of keep.lua left that failed in the middle.

-- Returns a function that removes the state of an event without an envelope, its jobs, and its places in lanes, in the
-- schedule and at gates, where it would hold up others. The function is made when a call first needs it. Its arguments:
-- event id, the time as RQ writes it, *is_listed*: the event was kept once, so its counters stay (write_off.lua
-- corrects them).
local function open_leftovers()
    local function clear_delivery(id, n, state, is_listed, iso)
        local delivery = id .. '-' .. n
        local letter = state[n .. 's']
        if letter and not FINAL[letter] then
            local had = read_place(id, n)
            withdraw(id, n, had)
            if had.g then give_place_back(had.g, delivery) end
            if had.l then leave_lane(had.l, delivery, iso) end
        elseif letter and state[n .. 'a'] and not is_listed then
            count(id_hour(id), 'd_' .. FINAL[letter], -1)  -- one that was scheduled may have been run, and was counted
        end
        redis.call('DEL', 'fd:a:' .. delivery, job_key(delivery .. '-' .. (state[n .. 'j'] or 1)))
    end

    return function(id, iso, is_listed)
        local state = read_state(id)
        if not state then return end
        if state.c and not is_listed then leave_quarantine(id, state) end
        for n = 1, tonumber(state.n) or 0 do clear_delivery(id, n, state, is_listed, iso) end
        for _, standing in ipairs({'quarantined', 'unrouted', 'dead'}) do redis.call('ZREM', 'fd:x:' .. standing, id) end
        if state.y and redis.call('HGET', entity_key(state.y), state.y) == id then
            redis.call('HDEL', entity_key(state.y), state.y)
        end
        redis.call('DEL', state_key(id), 'fd:once:' .. id, portions_key(id))
        redis.call('SREM', 'fd:unmade', id)
    end
end
