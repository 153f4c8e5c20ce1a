-- include: states, time
-- Recognises a hook's event as the change that back-fill made an event of, and the other way round. Only for hooks that are
-- in fd:made: those that were back-filled. What claims a change is behind the fingerprint (model/change_claims.py).
--
--   fd:made             hash: {business}/{action} to the Unix ms until which hooks' events claim their changes, too: as long
--                       as a back-fill may not have seen them
--   fd:made:{g}:{hook}  hash: {entity} {change} to the id of the event of it, followed by the letter with which it claimed
--                       it; for generation g of 31 days

-- Returns two functions, made at the first need. One returns the event that was kept of the same change, or nil, when it may
-- have taken out of an event the deliveries that the other one has; one claims the change of an event that is kept.
-- *is_first*: whether an id is that of an event that was kept.
local function open_changes(events, is_first)
    local GENERATION_MS = 31 * 86400000
    local FINGERPRINT, ID = 16, 20
    local CHECKED, NARROWED = {h = true, m = true, n = true}, {n = true, r = true}
    local generation = math.floor(now_ms / GENERATION_MS)

    local function key(hook, back) return string.format('fd:made:%d:%s', generation - back, hook) end

    local until_ms = {}
    for _, event in ipairs(events) do
        if #event.fingerprint > FINGERPRINT and event.entity ~= '' then
            local hook = event.business .. '/' .. event.action
            if until_ms[hook] == nil then until_ms[hook] = tonumber(redis.call('HGET', 'fd:made', hook)) or false end
            if until_ms[hook] then
                event.hook, event.how = hook, string.sub(event.fingerprint, FINGERPRINT + 1, FINGERPRINT + 1)
                event.change = event.entity .. ' ' .. string.sub(event.fingerprint, FINGERPRINT + 2)
            end
        end
    end

    -- Routes were left out when *first* was made: only they get the hook's event. One with more deliveries than fit into a
    -- call, or whose first is over, goes to all.
    local function leave_to_others(event, first)
        local state = not event.further and read_state(first)
        if not state then return nil end
        local served, left = {}, {}
        for n = 1, tonumber(state.n) do served[state[n .. 'r'] or ''] = true end
        for _, delivery in ipairs(event.deliveries) do
            if not served[delivery.route] then left[#left + 1] = delivery end
        end
        if #left == 0 then return first end
        event.deliveries = left
        return nil
    end

    -- Two events of hooks are told apart by their fingerprints alone.
    local function same(event)
        if not event.change or not CHECKED[event.how] then return nil end
        for back = 0, 1 do
            local claim = redis.call('HGET', key(event.hook, back), event.change) or ''
            local first, how = string.sub(claim, 1, ID), string.sub(claim, ID + 1)
            if first ~= event.id and not (event.how == 'h' and how == 'h') and is_first(event, first) then
                return not NARROWED[how] and first or leave_to_others(event, first)
            end
        end
        return nil
    end

    local function claim(event)
        if not event.change or event.how == 'h' and until_ms[event.hook] < now_ms then return end
        local hash, command = key(event.hook, 0), (event.how == 'm' or event.how == 'n') and 'HSET' or 'HSETNX'
        redis.call(command, hash, event.change, event.id .. event.how)
        if redis.call('HLEN', hash) == 1 then redis.call('PEXPIRE', hash, string.format('%.0f', GENERATION_MS * 2)) end
    end

    return same, claim
end
