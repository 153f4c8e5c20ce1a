-- Gates: what stands between a delivery that is queued and a worker. A route has one gate of its own, shut by a pause, by a
-- target that asked to wait and by one that is down; and one for its limits, or one for each key that they count by.
-- A delivery that finds a gate shut is held (`h`) before it, uncharged, in the order of its event's arrival.
--
--   fd:gates       sorted set: every gate that is shut, waited at, or watched, to the Unix ms at which to look at it next
--   fd:w:{gate}    sorted set: the deliveries that wait there; all scores are 0, so that ids order them
--   fd:g:{route}   hash: until, from (its target asked to wait), open, pace, next (it is down), ramp (why it is spared), allow
--   fd:r:{gate}    set: deliveries that have a place of its concurrency;  fd:l:{gate}: list: when the last ones began
--   fd:down:{route} sorted set: the deliveries that found the target down, since one found it up
--   fd:paused      hash: route to who paused it and when
--
-- Gates are named `{route}` and `{route}/{key}`.

-- Reads rules from ARGV: their number, then for each route, limit, period in ms, concurrency, age in ms at which waiting
-- for its target ends; 0 for what it does not say. Returns them by route, nil for none, and the position behind them.
local function read_rules(at)
    local number = tonumber(ARGV[at])
    if number == 0 then return nil, at + 1 end
    local rules = {}
    for i = at + 1, at + number * 5, 5 do
        local function value(offset)
            local said = tonumber(ARGV[i + offset])
            return said > 0 and said or nil
        end
        rules[ARGV[i]] = {limit = value(1), period = value(2), concurrency = value(3), give_up = value(4)}
    end
    return rules, at + 1 + number * 5
end

-- Returns what works the gates, by today's *rules*. All of it is made here, at the first need: most calls have none.
local function open_gates(rules)
    local LOOKED_AT_ONCE, LET_GO_AT_ONCE, MOST_LET_GO = 16, 256, 512
    local RAMP_MS = 1000                              -- how often one is let go to a target that says neither yes nor no
    local FIRST_PACE_MS, LONGEST_PACE_MS = 5000, 300000
    -- So many deliveries in a row, for so long: a first attempt that fails and is made good soon is no target that is
    -- down. Or so many more at once, when the next one would be dead: a burst must not die before that is over. Forgotten
    -- after the last time.
    local DOWN_AFTER, DOWN_LASTS_MS, DOWN_AT_ONCE, DOWN_FOR_MS = 5, 2000, 20, 600000
    local GIVE_UP_MS = 259200000
    local CHECK_PLACES_MS = 30000
    local CLOCK_SLACK_MS = 1000

    local has_gates = redis.call('EXISTS', 'fd:gates') == 1

    local function look_at(gate, when)
        redis.call('ZADD', 'fd:gates', when, gate)
        has_gates = true
    end

    local function seen_from(g)
        -- A time that began in the future was set before the clock jumped back; it is over.
        return {
            is_told_to_wait = g[1] and tonumber(g[1]) > now_ms and tonumber(g[2] or 0) <= now_ms + CLOCK_SLACK_MS,
            until_ms = tonumber(g[1] or 0), is_down = g[3] and true or false, next_ms = tonumber(g[4] or 0),
            ramp = g[5], pace = tonumber(g[6] or FIRST_PACE_MS), allow = tonumber(g[7] or 0),
        }
    end

    local seen = {}
    local function route_gate(route)
        local gate = seen[route]
        if gate then return gate end
        gate = {}
        if has_gates and redis.call('ZSCORE', 'fd:gates', route) then
            gate = seen_from(redis.call('HMGET', 'fd:g:' .. route, 'until', 'from', 'open', 'next', 'ramp', 'pace', 'allow'))
            gate.is_paused = redis.call('HEXISTS', 'fd:paused', route) == 1
        end
        seen[route] = gate
        return gate
    end

    -- Why a delivery may not pass the gate of its route, and when to look at the gate again; nil when it may.
    local function shut(route, pass)
        local gate = route_gate(route)
        if gate.is_paused then return 'p', '+inf' end
        if gate.is_told_to_wait then return 'a', gate.until_ms end
        if gate.is_down and pass ~= 'r' then return 'd', math.max(gate.next_ms, now_ms) end
        if gate.ramp and not pass and redis.call('EXISTS', waiting_key(route)) == 1 then return gate.ramp end
    end

    -- How many more may begin now under a limit, and when the next may if none. What began is remembered for one period, so
    -- that no stretch of that length sees more than the limit.
    local function left_of_limit(gate, rule)
        local key = 'fd:l:' .. gate
        local began = redis.call('LLEN', key)
        while began > 0 do
            local first = tonumber(redis.call('LINDEX', key, 0))
            if first > now_ms + CLOCK_SLACK_MS then  -- the clock jumped back
                redis.call('DEL', key)
                return rule.limit
            end
            if first > now_ms - rule.period then
                if began < rule.limit then break end
                return 0, tonumber(redis.call('LINDEX', key, began - rule.limit)) + rule.period
            end
            redis.call('LPOP', key)
            began = began - 1
        end
        return rule.limit - began
    end

    local function take_place(gate, rule, delivery)
        if rule.limit then
            redis.call('RPUSH', 'fd:l:' .. gate, now_ms)
            redis.call('PEXPIRE', 'fd:l:' .. gate, rule.period + CLOCK_SLACK_MS)
        end
        if rule.concurrency then redis.call('SADD', 'fd:r:' .. gate, delivery) end
    end

    -- Why a delivery may not pass the gate of its limits, and when to look at it again; nil when it may.
    local function crowded(gate, rule, pass)
        if rule.concurrency and redis.call('SCARD', 'fd:r:' .. gate) >= rule.concurrency then
            return 'c', now_ms + CHECK_PLACES_MS
        end
        if has_gates and not pass and redis.call('EXISTS', waiting_key(gate)) == 1 then
            return rule.limit and 'l' or 'c', now_ms
        end
        if rule.limit then
            local left, next_ms = left_of_limit(gate, rule)
            if left < 1 then return 'l', next_ms end
        end
    end

    -- Holds a delivery before a gate. *waits* says why; *when* is when to look at the gate, nil when that is known.
    local function hold(id, n, job, gate, waits, when, pass)
        local key = state_key(id)
        redis.call('HSET', key, n .. 's', 'h', n .. 'w', waits)
        redis.call('HDEL', key, n .. 't', n .. 'g')
        if waits == 'a' or waits == 'd' then redis.call('HSETNX', key, n .. 'v', now_ms) end
        if pass then give_place_back(pass, id .. '-' .. n) end
        redis.call('ZADD', waiting_key(gate), 0, id .. '-' .. n)
        if not when then
            redis.call('ZADD', 'fd:gates', 'NX', now_ms + RAMP_MS, gate)
        elseif gate == string.match(gate, '^[^/]*') then
            look_at(gate, when)
        else
            redis.call('ZADD', 'fd:gates', 'NX', when, gate)
        end
        redis.call('HSET', job_key(job), 'status', 'deferred')
        has_gates = true
    end

    -- Lets a delivery that is about to be run pass its gates, or holds it. Returns whether it was held. *state* is what
    -- read_delivery returned.
    local function is_held_back(id, n, job, state)
        local route, pass, rule = state[3], state[10] or nil, rules and rules[state[3]]
        if not has_gates and not rule then return false end
        local waits, when = shut(route, pass)
        if waits then
            hold(id, n, job, route, waits, when, pass)
            return true
        end
        if not rule or not (rule.limit or rule.concurrency) or (pass and string.sub(pass, 1, 1) == 'k') then return false end
        local gate = route .. '/' .. (redis.call('HGET', state_key(id), n .. 'u') or '')
        -- The one that finds out whether the target is up again is let through: else nobody might ever find out.
        if not route_gate(route).is_down then
            waits, when = crowded(gate, rule, pass)
            if waits then
                hold(id, n, job, gate, waits, when)
                return true
            end
        end
        take_place(gate, rule, id .. '-' .. n)
        if rule.concurrency then redis.call('HSET', state_key(id), n .. 'g', 'k' .. gate) end
        return false
    end

    -- Lets the first *most* that wait before a gate go into their queues: with a *pass* to the front, because their turn in the
    -- queue has come before; without one to the end. Returns how many went.
    local function let_go_on(gate, most, pass, rule)
        local queues, went = {}, 0
        local popped = redis.call('ZPOPMIN', waiting_key(gate), most)
        for i = 1, #popped, 2 do
            local id, n = parse_delivery(popped[i])
            local key = state_key(id)
            local state = redis.call('HMGET', key, n .. 's', n .. 'w', n .. 'j', n .. 'q', n .. 'i', n .. 'r')
            if state[1] == 'h' and state[2] ~= 'o' then
                local job = id .. '-' .. n .. '-' .. (state[3] or 1)
                local queue = state[5] and ISOLATED or state[4]
                redis.call('HSET', key, n .. 's', 'q')
                redis.call('HDEL', key, n .. 'w')
                if pass then redis.call('HSET', key, n .. 'g', pass) end
                if rule then take_place(gate, rule, popped[i]) end
                if redis.call('EXISTS', job_key(job)) == 1 then
                    redis.call('HSET', job_key(job), 'status', 'queued')
                else
                    make_job(job, queue, 'queued', '180', '')
                end
                append(queues, queue, job)
                went = went + 1
            end
        end
        for queue, jobs in pairs(queues) do
            if pass then
                for i = #jobs, 1, -1 do redis.call('LPUSH', queue_key(queue), jobs[i]) end
            else
                send('RPUSH', queue_key(queue), jobs)
            end
            announce_queue(queue)
            wake(queue)
        end
        return went
    end

    -- Ends those whose target has been waited for too long. Returns how many.
    local function give_up(route)
        local longest = rules[route] and rules[route].give_up or GIVE_UP_MS
        for ended = 0, LET_GO_AT_ONCE - 1 do
            local first = redis.call('ZRANGE', waiting_key(route), 0, 0)[1]
            if not first then return ended end
            local id, n = parse_delivery(first)
            local since = tonumber(redis.call('HGET', state_key(id), n .. 'v') or now_ms)
            if now_ms - since <= longest then return ended end
            local state = read_place(id, n)
            withdraw(id, n, state)
            redis.call('ZREM', waiting_key(route), first)
            if state.s == 'h' then
                note_end(first, 'failed', gave_up_after(now_ms - since))
                finish(id, n, 'd', state)
            end
        end
        return LET_GO_AT_ONCE
    end

    -- Forgets a gate before which nobody waits, unless something is still known of it.
    local function look_away(route, gate)
        if gate.is_down then return look_at(route, '+inf') end
        if redis.call('EXISTS', 'fd:down:' .. route) == 1 then return look_at(route, now_ms + DOWN_FOR_MS) end
        redis.call('DEL', 'fd:g:' .. route)
        redis.call('ZREM', 'fd:gates', route)
    end

    local function look_at_route(route)
        seen[route] = nil
        local gate = route_gate(route)
        if gate.is_paused then look_at(route, '+inf') return 0 end
        if gate.is_told_to_wait then look_at(route, gate.until_ms) return 0 end
        local went = give_up(route)
        local key = 'fd:g:' .. route
        if redis.call('EXISTS', waiting_key(route)) == 0 then
            look_away(route, gate)
        elseif gate.is_down then
            went = went + let_go_on(route, 1, 'r')
            redis.call('HSET', key, 'next', now_ms + gate.pace, 'pace', math.min(gate.pace * 2, LONGEST_PACE_MS))
            look_at(route, now_ms + gate.pace)
        elseif gate.ramp or gate.until_ms > 0 then
            redis.call('HDEL', key, 'until', 'from', 'allow')
            redis.call('HSET', key, 'ramp', gate.ramp or 'a')
            went = went + let_go_on(route, math.min(1 + gate.allow, LET_GO_AT_ONCE), 'r')
            look_at(route, now_ms + RAMP_MS)
        else
            went = went + let_go_on(route, LET_GO_AT_ONCE)
            look_at(route, now_ms)
        end
        seen[route] = nil
        return went
    end

    -- Takes back the places of deliveries that do not run any more; a worker of an earlier version did not give them back.
    local function check_places(gate)
        for _, delivery in ipairs(redis.call('SMEMBERS', 'fd:r:' .. gate)) do
            local id, n = parse_delivery(delivery)
            local state = redis.call('HMGET', state_key(id), n .. 's', n .. 'g')
            if state[2] ~= 'k' .. gate or (state[1] ~= 'x' and state[1] ~= 'q') then
                redis.call('SREM', 'fd:r:' .. gate, delivery)
            end
        end
    end

    local function look_at_limits(gate)
        local rule = rules[string.match(gate, '^[^/]*')]
        local most, next_ms = LET_GO_AT_ONCE, now_ms
        local has_rule = rule and (rule.limit or rule.concurrency)
        if has_rule and rule.concurrency then
            local free = rule.concurrency - redis.call('SCARD', 'fd:r:' .. gate)
            if free < 1 then
                check_places(gate)
                free = rule.concurrency - redis.call('SCARD', 'fd:r:' .. gate)
            end
            if free < most then most, next_ms = math.max(free, 0), now_ms + CHECK_PLACES_MS end
        end
        if has_rule and rule.limit then
            local left, at = left_of_limit(gate, rule)
            if left <= most then most, next_ms = left, at or now_ms + 1 end
        end
        local went = most > 0 and let_go_on(gate, most, has_rule and 'k' .. gate, has_rule and rule) or 0
        if redis.call('EXISTS', waiting_key(gate)) == 1 then
            look_at(gate, next_ms)
        else
            redis.call('ZREM', 'fd:gates', gate)
        end
        return went
    end

    -- After the clock has jumped back, everything is looked at now: what it waits for was told by the old clock.
    local function mind_the_clock()
        local last = redis.call('SET', 'fd:gates:clock', now_ms, 'GET')
        if not last or tonumber(last) <= now_ms + CLOCK_SLACK_MS then return end
        for _, gate in ipairs(redis.call('ZRANGEBYSCORE', 'fd:gates', now_ms, '(+inf')) do look_at(gate, now_ms) end
    end

    -- Looks at the gates whose time has come, and lets go on what may. Returns when to look again (0: at nothing).
    local function look_at_gates()
        if not has_gates then return 0 end
        mind_the_clock()
        local work = 0
        while work < MOST_LET_GO do
            local due = redis.call('ZRANGEBYSCORE', 'fd:gates', '-inf', now_ms, 'LIMIT', 0, LOOKED_AT_ONCE)
            if #due == 0 then break end
            for _, gate in ipairs(due) do
                work = work + 8 + (string.find(gate, '/', 1, true) and look_at_limits(gate) or look_at_route(gate))
            end
        end
        local first = redis.call('ZRANGEBYSCORE', 'fd:gates', '-inf', '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        return first[2] and math.ceil(tonumber(first[2])) or 0
    end

    return {
        look = look_at_gates, holds_back = is_held_back, hold = hold, shut = shut, look_at = look_at, of_route = route_gate,
        forget = function(route) seen[route] = nil end,
        DOWN_AFTER = DOWN_AFTER, DOWN_LASTS_MS = DOWN_LASTS_MS, DOWN_AT_ONCE = DOWN_AT_ONCE, DOWN_FOR_MS = DOWN_FOR_MS,
        FIRST_PACE_MS = FIRST_PACE_MS,
    }
end
