-- include: attempts, counters, finish, ids, jobs, keys, lanes, lists, requeue, states, time
-- on demand: gates, targets
-- Records how attempts ended, and decides what becomes of their deliveries: they end, or wait for another attempt.
--
-- ARGV: worker, the time as RQ writes it, then for each attempt
--   job id, verdict, delay in ms, RQ timeout in seconds of the next job, the attempt as JSON ('' for none), what the attempt
--   says of the target: '' for nothing, else 'd' (it is down) or 'b' (it asked to wait for the delay), followed by the number
--   of ms after which a delivery that waits for its target is given up
-- Verdicts: s succeeded, c discarded, d dead, r failed and to be run again after the delay, u to be run again after the
-- delay at no charge, g given back unrun to the front of its queue, n given back unrun because the worker does not know
-- its route or handler, p put off unrun for the delay, because its time is later now.
-- Returns the job ids that were stale: the delivery is no longer this worker's, and nothing was changed.

-- A delivery that was put off goes to a worker again after this time at the latest: the worker that put it off may have
-- had an older routes.yaml, with another time.
local LOOKED_AT_AGAIN_MS = 3600000

local worker, iso = ARGV[1], ARGV[2]
-- A stock RQ worker deletes the job itself when our function has returned, and fails when it is gone before.
local is_stock = string.sub(worker, 1, 6) == 'stock:'
local stale, held, started, jobs = {}, {}, {}, {}

local has_gates, gates, targets = redis.call('EXISTS', 'fd:gates') == 1, nil, nil

for at = 3, #ARGV, 6 do
    local job, verdict, delay, timeout_s, attempt, sign = unpack(ARGV, at, at + 5)
    local id, n, serial = parse_job(job)
    local key = state_key(id)
    local state = redis.call('HMGET', key, n .. 's', n .. 'j', n .. 'o', n .. 'q', n .. 'l', n .. 'g', n .. 'i',
        'p', n .. 'a', n .. 't', n .. 'b')
    if state[1] ~= 'x' or state[3] ~= worker or tonumber(state[2] or 1) ~= serial then
        stale[#stale + 1] = job
    else
        local queue = state[7] and ISOLATED or state[4]
        append(held, 'fd:held:' .. worker, job)
        append(started, 'rq:wip:' .. queue, job .. ':' .. worker)
        if not is_stock then jobs[#jobs + 1] = job_key(job) end
        if verdict == 'g' or verdict == 'n' then
            timeout_s = redis.call('HGET', job_key(job), 'timeout') or timeout_s
            redis.call('HDEL', key, n .. 'o')
        end
        if verdict == 'g' then
            redis.call('HDEL', key, n .. 'b')
            requeue(id, n, serial + 1, queue, now_ms, timeout_s, iso, true)
        elseif verdict == 'n' then
            gates = gates or open_gates({})
            make_job(id .. '-' .. n .. '-' .. serial + 1, queue, 'deferred', timeout_s, iso)
            redis.call('HSET', key, n .. 'j', serial + 1)
            gates.park(id, n, id .. '-' .. n .. '-' .. serial + 1, redis.call('HGET', key, n .. 'r'))
            wake_all(queue)
        else
            local is_settled = false
            if (has_gates or sign ~= '') and verdict ~= 'p' then
                gates = gates or open_gates({})
                targets = targets or open_targets(gates)
                is_settled = targets(id, n, serial, state, verdict, tonumber(delay), timeout_s, attempt, sign, iso)
            end
            if not is_settled then
                local had = (state[5] or state[6]) and {l = state[5], g = state[6]}
                local newer, why
                if state[5] and not FINAL[verdict] then newer, why = successor(state[5], id, verdict == 'r') end
                if newer then
                    record(id, n, attempt)
                    note_end(id .. '-' .. n, 'discarded', why)
                    finish(id, n, 'c', had, iso)
                elseif FINAL[verdict] then
                    local attempts = note_attempt(id, n, attempt) and (tonumber(state[9]) or 0) + 1
                    finish(id, n, verdict, had, iso, state[8] or nil, attempts, not (state[7] or state[10] or state[11]))
                else
                    record(id, n, attempt)
                    redis.call('HDEL', key, n .. 'o', n .. 'i', n .. 'b')
                    if verdict == 'r' then
                        redis.call('HINCRBY', key, n .. 'f', 1)
                        redis.call('HDEL', key, n .. 'v')
                    end
                    if state[6] then
                        redis.call('HDEL', key, n .. 'g')
                        give_place_back(state[6], id .. '-' .. n)
                    end
                    local waits_ms = verdict == 'p' and math.min(tonumber(delay), LOOKED_AT_AGAIN_MS) or tonumber(delay)
                    requeue(id, n, serial + 1, state[4], now_ms + waits_ms, timeout_s, iso)
                    if verdict == 'p' and waits_ms > 0 then
                        redis.call('HSET', key, n .. 'w', 't', n .. 't', string.format('%.0f', now_ms + delay))
                    end
                end
            end
        end
    end
end
with_each('SREM', held)
with_each('ZREM', started)
for from = 1, #jobs, PORTION do redis.call('DEL', unpack(jobs, from, math.min(from + PORTION - 1, #jobs))) end
write_counts()
return stale
