-- include: attempts, finish, jobs, keys, time
-- What follows when an attempt shows that the target of its route is down, asks to wait, or is up.

-- Returns the function `heed` below; like the gates, it is made when a call first needs it.
local function open_targets(gates)
    -- A target is down when DOWN_AFTER deliveries in a row found it so over DOWN_LASTS_MS: a failure that is over
    -- sooner does not count. It is also down when DOWN_AT_ONCE deliveries found it so and one of them would be dead: a
    -- burst must not die within those two seconds.
    local DOWN_AFTER, DOWN_LASTS_MS, DOWN_AT_ONCE = 5, 2000, 20

    -- Notes that a delivery found the target of its route down. *dies*: it has no attempt left. Returns whether the
    -- target counts as down, so that the deliveries of the route wait for it.
    local function note_down(route, delivery, dies)
        if gates.of_route(route).is_down then return true end
        local key = 'fd:down:' .. route
        redis.call('ZADD', key, 'NX', now_ms, delivery)
        redis.call('PEXPIRE', key, gates.DOWN_FOR_MS)
        local many = redis.call('ZCARD', key)
        local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
        local lasts = math.abs(now_ms - first[2]) >= DOWN_LASTS_MS
        local is_down = many >= DOWN_AFTER and lasts or many >= DOWN_AT_ONCE and dies
        if is_down then
            redis.call('HSET', 'fd:g:' .. route, 'open', now_ms, 'pace', gates.FIRST_PACE_MS * 2, 'next', now_ms + gates.FIRST_PACE_MS)
            gates.look_by(route, now_ms + gates.FIRST_PACE_MS)
        else
            redis.call('ZADD', 'fd:gates', 'NX', now_ms + gates.DOWN_FOR_MS, route)
        end
        gates.forget(route)
        return is_down
    end

    -- Notes that the target of a route answered. After it was down or asked to wait, each answer lets two more
    -- deliveries run.
    local function note_up(route, queue)
        if not redis.call('ZSCORE', 'fd:gates', route) then return end
        local gate = gates.of_route(route)
        redis.call('DEL', 'fd:down:' .. route)
        if not gate.is_down and not gate.ramp then return end
        redis.call('HDEL', 'fd:g:' .. route, 'open', 'pace', 'next')
        if gate.is_down then redis.call('HSET', 'fd:g:' .. route, 'ramp', 'd') end
        redis.call('HINCRBY', 'fd:g:' .. route, 'allow', 2)
        gates.forget(route)
        if gate.is_paused or gate.is_told_to_wait then return end
        gates.look_by(route, now_ms)
        wake(queue)
    end

    -- Notes that the target asked to wait for *delay* ms: all deliveries of its route do.
    local function note_busy(route, delay)
        local gate = gates.of_route(route)
        local till = now_ms + delay
        if gate.is_told_to_wait then till = math.max(till, gate.until_ms) end
        redis.call('HSET', 'fd:g:' .. route, 'until', till, 'from', now_ms)
        redis.call('HDEL', 'fd:g:' .. route, 'allow')
        gates.look_by(route, gate.is_paused and '+inf' or till)
        gates.forget(route)
    end

    -- Holds a delivery until its target is back, or ends it as dead when it has waited longer than *longest* ms.
    local function wait_for_target(id, n, serial, queue, timeout_s, waits, longest, route, had, attempt, iso)
        local since = tonumber(redis.call('HGET', state_key(id), n .. 'v') or now_ms)
        if now_ms - since > longest then
            if waits == 'a' then record(id, n, attempt) end
            note_end(id .. '-' .. n, 'failed', gave_up_after(now_ms - since))
            finish(id, n, 'd', had, iso)
            return
        end
        local job = id .. '-' .. n .. '-' .. serial + 1
        make_job(job, queue, 'deferred', timeout_s, iso)
        redis.call('HSET', state_key(id), n .. 'j', serial + 1)
        local _, when = gates.shut(route)
        gates.hold(id, n, job, route, waits, when, had.g, longest)
        wake(queue)
    end

    -- Does what follows from *sign* (acknowledge.lua: what the attempt says of the target). Returns whether the
    -- delivery is dealt with: it waits for the target, or has ended. If not, the verdict decides.
    local function heed(id, n, serial, state, verdict, delay, timeout_s, attempt, sign, iso)
        local route = redis.call('HGET', state_key(id), n .. 'r')
        local says, longest = string.sub(sign, 1, 1), tonumber(string.sub(sign, 2))
        local had = {l = state[5], g = state[6]}
        if says == 'b' then
            note_busy(route, delay)
        elseif says == 'd' then
            if not note_down(route, id .. '-' .. n, verdict == 'd') then return false end
            record(id, n, attempt)
        else
            if verdict ~= 'u' then note_up(route, state[4]) end
            return false
        end
        redis.call('HDEL', state_key(id), n .. 'o', n .. 'i')
        wait_for_target(id, n, serial, state[4], timeout_s, says == 'b' and 'a' or 'd', longest, route, had, attempt, iso)
        return true
    end

    return heed
end
