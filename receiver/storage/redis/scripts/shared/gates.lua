-- include: finish, ids, jobs, keys, lists, requeue, time, withdraw
-- Gates: what a queued delivery must pass before a worker gets it. A route has two kinds. The gate `{route}` is shut
-- while the route is paused, while its target is down, and while its target asks to wait. The gate `{route}/{key}`
-- counts the limits of the route (limit, concurrency); key is '' when they count all deliveries together, else the
-- value of `per`. A delivery that finds a gate shut is held (`h`) there. It uses no attempt, and keeps the order in
-- which its event came.
--
--   fd:gates        sorted set: every gate that is shut, is waited at, or is watched, to the Unix ms of its next check
--   fd:w:{gate}     sorted set: the deliveries that wait there; all scores are 0, so that ids order them. A parked delivery has
--                   a negative score, see `park`
--   fd:g:{route}    hash, times in Unix ms. The target asked to wait: `from` when, `until` when. It is down: `open` since when,
--                   `next` when one delivery probes it, `pace` ms until the probe after that. It was one of the two:
--                   `ramp` which (`d` or `a`), `allow` how many deliveries may run beyond one. `resumed` when the last pause
--                   ended; `parked` when to check the gate after the last parked delivery has left
--   fd:r:{gate}     set: the deliveries that run under a limit of concurrency
--   fd:l:{gate}     list: Unix ms at which the last attempts began under a limit
--   fd:down:{route} sorted set: the deliveries that found the target down since it was last up, to Unix ms
--   fd:paused       hash: route to who paused it and when, as JSON

-- Returns the functions that work the gates, as a table (see its end), for these *rules* (rules.lua). They are made
-- when a call first needs them, because most calls need none. *claimer* describes a worker that claims: *room*, how
-- many deliveries it takes; *cannot* and *can*, the routes that it said it cannot run and can run; *serves*, a function
-- that says whether it serves a queue.
local function open_gates(rules, claimer)
    local LOOKED_AT_ONCE, LET_GO_AT_ONCE, MOST_LET_GO, MOST_PASSED_BY = 16, 256, 512, 512
    -- A worker leaves the gates of routes that it cannot run to workers that can. If none has checked such a gate for
    -- this long, any worker does: those that can may be of an earlier version, or stock workers, which check no gates.
    local UNSEEN_MS = 2000
    local PARKED = 10000000000000
    local RAMP_MS = 1000                              -- how often one is let go to a target that says neither yes nor no
    local FIRST_PACE_MS, LONGEST_PACE_MS = 5000, 300000
    local DOWN_FOR_MS = 600000                        -- what was counted of a target is forgotten so long after the last one
    local GIVE_UP_MS = 259200000
    local CHECK_PLACES_MS = 30000
    local CLOCK_SLACK_MS = 1000

    local has_gates = redis.call('EXISTS', 'fd:gates') == 1

    -- Schedules the next check of a gate at *when* (Unix ms, or '+inf' for never).
    local function look_at(gate, when)
        redis.call('ZADD', 'fd:gates', when, gate)
        has_gates = true
    end

    -- Schedules a check of a gate at *when*, unless an earlier one is scheduled.
    local function look_by(gate, when)
        redis.call('ZADD', 'fd:gates', 'LT', when, gate)
        has_gates = true
    end

    -- The gate of a route as a table, from its fields in fd:g:{route}.
    local function seen_from(g)
        -- A time that began in the future was set before the clock jumped back; it is over.
        local function ms(value) return tonumber(value or 0) or 0 end
        return {
            is_told_to_wait = ms(g[1]) > now_ms and ms(g[2]) <= now_ms + CLOCK_SLACK_MS,
            until_ms = ms(g[1]), is_down = g[3] and true or false, next_ms = ms(g[4]),
            ramp = g[5], pace = tonumber(g[6] or FIRST_PACE_MS) or FIRST_PACE_MS, allow = ms(g[7]), parked = g[8] and ms(g[8]),
            -- Since when a delivery waits for the target that has no `v` of its own, because a pause held it first.
            waits_since_ms = g[9] and math.max(ms(g[9]), ms(g[2]), ms(g[3])),
        }
    end

    -- The gate of a route, read once for a call (until `seen[route]` is cleared, because something changed it).
    local seen = {}
    local function route_gate(route)
        local gate = seen[route]
        if gate then return gate end
        gate = {}
        if has_gates and redis.call('ZSCORE', 'fd:gates', route) then
            gate = seen_from(redis.call('HMGET', 'fd:g:' .. route, 'until', 'from', 'open', 'next', 'ramp', 'pace', 'allow',
                'parked', 'resumed'))
            gate.is_paused = redis.call('HEXISTS', 'fd:paused', route) == 1
        end
        seen[route] = gate
        return gate
    end

    -- Why a delivery may not pass the gate of its route (`p` paused, `a` asked to wait, `d` down, or down before), and
    -- when to check the gate again; nil when it may.
    local function shut(route, pass)
        local gate = route_gate(route)
        if gate.is_paused then return 'p', '+inf' end
        if gate.is_told_to_wait then return 'a', gate.until_ms end
        if gate.is_down and pass ~= 'r' then return 'd', math.max(gate.next_ms, now_ms) end
        if gate.ramp and not pass and redis.call('EXISTS', waiting_key(route)) == 1 then return gate.ramp end
    end

    -- How many more attempts may begin now under a limit, and when the next one may if none. The starts of one whole
    -- period are remembered, so that no period, wherever it begins, has more starts than the limit.
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

    -- Notes that a delivery begins under the limits of a gate.
    local function take_place(gate, rule, delivery)
        if rule.limit then
            redis.call('RPUSH', 'fd:l:' .. gate, now_ms)
            redis.call('PEXPIRE', 'fd:l:' .. gate, rule.period + CLOCK_SLACK_MS)
        end
        if rule.concurrency then redis.call('SADD', 'fd:r:' .. gate, delivery) end
    end

    -- Why a delivery may not pass the gate of its limits (`c` concurrency, `l` limit), and when to check it again; nil
    -- when it may.
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

    local function give_up_after_ms(route) return rules[route] and rules[route].give_up or GIVE_UP_MS end

    -- Holds a delivery at a gate. *waits* says why; *when*: Unix ms of the next check of the gate, nil when one is
    -- scheduled; *pass*: the field `g` of the delivery, whose place is freed; *longest*: for how many ms it may wait
    -- for its target. The worker knows its route, so a note that workers did not (`b`) is deleted.
    local function hold(id, n, job, gate, waits, when, pass, longest)
        local key = state_key(id)
        redis.call('HSET', key, n .. 's', 'h', n .. 'w', waits)
        redis.call('HDEL', key, n .. 't', n .. 'g', n .. 'b')
        if waits == 'a' or waits == 'd' then
            redis.call('HSETNX', key, n .. 'v', now_ms)
            if tonumber(when) then when = math.min(when, redis.call('HGET', key, n .. 'v') + longest + 1) end
        end
        if pass then give_place_back(pass, id .. '-' .. n) end
        redis.call('ZADD', waiting_key(gate), 0, id .. '-' .. n)
        if not when then
            redis.call('ZADD', 'fd:gates', 'NX', now_ms + RAMP_MS, gate)
        elseif gate == string.match(gate, '^[^/]*') then
            look_by(gate, when)
        else
            redis.call('ZADD', 'fd:gates', 'NX', when, gate)
        end
        redis.call('HSET', job_key(job), 'status', 'deferred')
        has_gates = true
    end

    -- Lets a delivery that a worker is about to get pass its gates, or holds it. Returns whether it is held. *state* is
    -- what read_delivery (handover.lua) returned.
    local function is_held_back(id, n, job, state)
        local route, pass, rule = state[3], state[10] or nil, rules and rules[state[3]]
        if not has_gates and not rule then return false end
        local waits, when = shut(route, pass)
        if waits then
            hold(id, n, job, route, waits, when, pass, give_up_after_ms(route))
            return true
        end
        if not rule or not (rule.limit or rule.concurrency) or (pass and string.sub(pass, 1, 1) == 'k') then return false end
        local gate = route .. '/' .. (redis.call('HGET', state_key(id), n .. 'u') or '')
        -- While the target is down, this is the delivery that probes it: limits do not apply, or nothing might ever
        -- probe it.
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

    -- Parks a delivery whose route or handler its worker does not know: it waits at the gate of its route, in front of
    -- all others there, for a worker that knows it. It keeps its field `g` and its place. Its score is negative, and
    -- says since when no worker could run it (Unix ms minus PARKED).
    local function park(id, n, job, route)
        local key = state_key(id)
        redis.call('HSETNX', key, n .. 'b', now_ms)
        redis.call('HSET', key, n .. 's', 'h', n .. 'w', 'n')
        redis.call('HDEL', key, n .. 't')
        redis.call('HSET', job_key(job), 'status', 'deferred')
        redis.call('ZADD', waiting_key(route), redis.call('HGET', key, n .. 'b') - PARKED, id .. '-' .. n)
        redis.call('HSETNX', 'fd:g:' .. route, 'parked', redis.call('ZSCORE', 'fd:gates', route) or now_ms)
        look_at(route, now_ms)
        seen[route] = nil
    end

    -- The first *most* deliveries at a gate with a score between *from* and *to*. What is no delivery is removed.
    local function first_at(gate, from, to, most)
        local found = {}
        for _, delivery in ipairs(redis.call('ZRANGEBYSCORE', waiting_key(gate), from, to, 'LIMIT', 0, most)) do
            if parse_delivery(delivery) then
                found[#found + 1] = delivery
            else
                redis.call('ZREM', waiting_key(gate), delivery)
            end
        end
        return found
    end

    -- Puts deliveries that wait at a gate into their queues: to the front (*front*) when their turn in the queue had
    -- come before, else to the end. *pass*: their new field `g`; *rule*: the rule under which they begin; nil for
    -- neither. Returns how many went.
    local function let_go(gate, deliveries, pass, rule, front)
        local queues, went = {}, 0
        if #deliveries > 0 then redis.call('ZREM', waiting_key(gate), unpack(deliveries)) end
        for _, delivery in ipairs(deliveries) do
            local id, n = parse_delivery(delivery)
            local key = state_key(id)
            local state = redis.call('HMGET', key, n .. 's', n .. 'w', n .. 'j', n .. 'q', n .. 'i', n .. 'r')
            if state[1] == 'h' and state[2] ~= 'o' then
                local job = id .. '-' .. n .. '-' .. (state[3] or 1)
                local queue = state[5] and ISOLATED or state[4]
                redis.call('HSET', key, n .. 's', 'q')
                redis.call('HDEL', key, n .. 'w')
                if pass then redis.call('HSET', key, n .. 'g', pass) end
                if rule then take_place(gate, rule, delivery) end
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
            if front then
                for i = #jobs, 1, -1 do redis.call('LPUSH', queue_key(queue), jobs[i]) end
            else
                send('RPUSH', queue_key(queue), jobs)
            end
            announce_queue(queue)
            wake(queue)
        end
        return went
    end

    -- Lets the first *most* deliveries go that wait at a gate and are not parked there.
    local function let_go_on(gate, most, pass, rule)
        return let_go(gate, first_at(gate, 0, '+inf', most), pass, rule, pass)
    end

    -- Lets parked deliveries go. *is_known*: the worker knows their route; then as many go as it has room for, of the
    -- queues that it serves. Else LET_GO_AT_ONCE go, for other workers. Returns how many went, and whether some are
    -- left.
    local function let_parked_go(route, is_known)
        local first = first_at(route, '-inf', '(0', LET_GO_AT_ONCE)
        local going, served = {}, not is_known and #first or 0
        for _, delivery in ipairs(first) do
            local id, n = parse_delivery(delivery)
            local state = redis.call('HMGET', state_key(id), n .. 'q', n .. 'i')
            if not is_known then
                going[#going + 1] = delivery
            elseif state[2] or claimer.serves(state[1]) then
                served = served + 1
                if claimer.room > 0 then
                    claimer.room = claimer.room - 1
                    redis.call('HDEL', state_key(id), n .. 'b')
                    going[#going + 1] = delivery
                end
            end
        end
        local is_left = #going < #first or #first == LET_GO_AT_ONCE
        if is_left and served > 0 then look_at(route, now_ms) end
        return let_go(route, going, nil, nil, true), is_left
    end

    -- Ends those of the first waiting deliveries that have waited too long for their target. Returns how many, and the
    -- Unix ms at which to end the next ones.
    local function give_up(route, gate)
        local longest = give_up_after_ms(route)
        local first = first_at(route, 0, '+inf', LET_GO_AT_ONCE)
        local ended, next_ms = 0, math.huge
        for _, delivery in ipairs(first) do
            local id, n = parse_delivery(delivery)
            local since = tonumber(redis.call('HGET', state_key(id), n .. 'v') or gate.waits_since_ms or now_ms)
            if now_ms - since > longest then
                local state = read_place(id, n)
                withdraw(id, n, state)
                redis.call('ZREM', waiting_key(route), delivery)
                if state.s == 'h' then
                    note_end(delivery, 'failed', gave_up_after(now_ms - since))
                    finish(id, n, 'd', state)
                end
                ended = ended + 1
            else
                next_ms = math.min(next_ms, since + longest + 1)
            end
        end
        return ended, ended > 0 and #first == LET_GO_AT_ONCE and now_ms or next_ms
    end

    -- Forgets a gate at which nothing waits, unless its target is down or was found down lately.
    local function look_away(route, gate)
        if gate.is_down then return look_at(route, '+inf') end
        if redis.call('EXISTS', 'fd:down:' .. route) == 1 then return look_at(route, now_ms + DOWN_FOR_MS) end
        redis.call('DEL', 'fd:g:' .. route)
        redis.call('ZREM', 'fd:gates', route)
    end

    -- Checks the gate of a route at which nothing is parked, and lets go what may. Returns how many were let go or
    -- ended.
    local function look_at_waiting(route, gate)
        if gate.is_paused then look_at(route, '+inf') return 0 end
        local went, again_ms = give_up(route, gate)
        local key = 'fd:g:' .. route
        if again_ms <= now_ms then
            look_at(route, now_ms)
        elseif gate.is_told_to_wait then
            look_at(route, math.min(gate.until_ms, again_ms))
        elseif redis.call('EXISTS', waiting_key(route)) == 0 then
            look_away(route, gate)
        elseif gate.is_down and gate.next_ms > now_ms then
            look_at(route, math.min(gate.next_ms, again_ms))
        elseif gate.is_down then
            went = went + let_go_on(route, 1, 'r')
            redis.call('HSET', key, 'next', now_ms + gate.pace, 'pace', math.min(gate.pace * 2, LONGEST_PACE_MS))
            look_at(route, math.min(now_ms + gate.pace, again_ms))
        elseif gate.ramp or gate.until_ms > 0 then
            redis.call('HDEL', key, 'until', 'from', 'allow')
            redis.call('HSET', key, 'ramp', gate.ramp or 'a')
            went = went + let_go_on(route, math.min(1 + gate.allow, LET_GO_AT_ONCE), 'r')
            look_at(route, now_ms + RAMP_MS)
        else
            went = went + let_go_on(route, LET_GO_AT_ONCE)
            look_at(route, now_ms)
        end
        return went
    end

    -- Checks the gate of a route. Returns how many were let go or ended, and whether that is all for this call.
    local function look_at_route(route, gate, is_known)
        local went, is_left = 0, false
        if gate.parked then
            went, is_left = let_parked_go(route, is_known)
            if not is_left then
                redis.call('HDEL', 'fd:g:' .. route, 'parked')
                if gate.parked > now_ms then look_at(route, gate.parked == math.huge and '+inf' or gate.parked) end
            end
        end
        if not is_left and not (gate.parked and gate.parked > now_ms) then
            went = went + look_at_waiting(route, gate)
        end
        seen[route] = nil
        return went, is_left
    end

    -- Frees the places of deliveries that do not run any more: workers of an earlier version did not free them.
    local function check_places(gate)
        for _, delivery in ipairs(redis.call('SMEMBERS', 'fd:r:' .. gate)) do
            local id, n = parse_delivery(delivery)
            local state = id and redis.call('HMGET', state_key(id), n .. 's', n .. 'g') or {}
            if state[2] ~= 'k' .. gate or (state[1] ~= 'x' and state[1] ~= 'q' and state[1] ~= 'h') then
                redis.call('SREM', 'fd:r:' .. gate, delivery)
            end
        end
    end

    -- Checks the gate of a route's limits, and lets go as many as they allow. Returns how many.
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

    -- If the server's clock has jumped back, checks every gate now: the times of their next checks were set by the old
    -- clock.
    local function mind_the_clock()
        local last = redis.call('SET', 'fd:gates:clock', now_ms, 'GET')
        if not last or (tonumber(last) or 0) <= now_ms + CLOCK_SLACK_MS then return end
        for _, gate in ipairs(redis.call('ZRANGEBYSCORE', 'fd:gates', now_ms, '(+inf')) do look_at(gate, now_ms) end
    end

    -- Whether other workers are to check a gate: this one cannot run its route, or has not said yet whether it can.
    local asked, unseen = {}, {}
    local function is_for_others(gate, route)
        if claimer.cannot[route] then return true end
        if gate ~= route or not route_gate(route).parked or claimer.can[route] then return false end
        asked[#asked + 1] = route
        return true
    end

    local function look(gate, route)
        if gate ~= route then return look_at_limits(gate) end
        seen[route] = nil
        return look_at_route(route, route_gate(route), claimer.can[route])
    end

    -- Checks the gates whose time has come, and lets go what may. Returns the Unix ms of the next check (0: none is
    -- due), and the routes about which the worker must say whether it can run them.
    local function look_at_gates()
        if not has_gates then return 0, asked end
        mind_the_clock()
        local work, passed_by, done = 0, 0, {}
        while work < MOST_LET_GO and passed_by < MOST_PASSED_BY do
            local due = redis.call('ZRANGEBYSCORE', 'fd:gates', '-inf', now_ms, 'WITHSCORES', 'LIMIT', passed_by,
                LOOKED_AT_ONCE)
            if #due == 0 then break end
            for i = 1, #due, 2 do
                local gate, route = due[i], string.match(due[i], '^[^/]*')
                if done[gate] then
                    passed_by = passed_by + 1
                elseif is_for_others(gate, route) then
                    passed_by, done[gate] = passed_by + 1, true
                    if tonumber(due[i + 1]) < now_ms - UNSEEN_MS and #unseen < LOOKED_AT_ONCE then
                        unseen[#unseen + 1] = gate
                    end
                else
                    local went, is_done = look(gate, route)
                    work, done[gate] = work + 8 + went, is_done
                end
            end
        end
        if work >= MOST_LET_GO then return now_ms, asked end
        local first = redis.call('ZRANGEBYSCORE', 'fd:gates', '(' .. now_ms, '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        return first[2] and math.ceil(tonumber(first[2])) or 0, asked
    end

    -- Checks the gates that no worker has checked that knows their route. Called after everything is claimed, so that
    -- what it lets go stays in the queues for other workers.
    local function look_at_unseen()
        for _, gate in ipairs(unseen) do look(gate, string.match(gate, '^[^/]*')) end
    end

    return {
        look = look_at_gates, look_at_unseen = look_at_unseen, holds_back = is_held_back, hold = hold, park = park, shut = shut,
        look_by = look_by, of_route = route_gate,
        forget = function(route) seen[route] = nil end,
        DOWN_FOR_MS = DOWN_FOR_MS, FIRST_PACE_MS = FIRST_PACE_MS,
    }
end
