-- include: entities, keys, lists
-- How a delivery gets into the hands of a worker.

-- What a worker needs to know of delivery n: state, serial, route, attempts, failures, unknown since, deaths, origin,
-- entity; and for the gates: what it may pass.
local function read_delivery(id, n)
    return redis.call('HMGET', state_key(id), n .. 's', n .. 'j', n .. 'r', n .. 'a', n .. 'f', n .. 'b', n .. 'c', n .. 'm',
        'y', n .. 'g')
end

-- Whether the job of that serial is the delivery's current one and waits to be run. A stock RQ scheduler moves jobs into
-- their queue without telling us, so one that waited for its time may be there already.
local function may_run(state, serial)
    return (state[1] == 'q' or state[1] == 'w') and tonumber(state[2] or 1) == serial
end

-- What a worker is told of a delivery, but for the envelope, which comes last.
local function describe(queue, job, id, state)
    return {
        job, queue, state[3], state[4] or '0', state[5] or '0', state[6] or '0', state[7] or '0', state[8] or '',
        superseded(id, state[9]),
    }
end

-- Puts a delivery into a worker's hands, and returns what the worker is told of it. That the worker holds it
-- (`fd:held:`) is for the caller to note: it may be one of many.
local function hand_over(worker, queue, job, id, n, state)
    if state[1] == 'w' then
        redis.call('ZREM', scheduled_key(queue), job)
        redis.call('HDEL', state_key(id), n .. 't', n .. 'w')
    end
    redis.call('HSET', state_key(id), n .. 's', 'x', n .. 'o', worker)
    return describe(queue, job, id, state)
end

-- Puts the envelopes behind what workers are told.
local function enclose(told)
    if #told == 0 then return told end
    for from = 1, #told, PORTION do
        local names = {}
        for i = from, math.min(from + PORTION - 1, #told) do
            names[#names + 1] = envelope_key(string.sub(told[i][1], 1, 20))
        end
        for i, envelope in ipairs(redis.call('MGET', unpack(names))) do told[from + i - 1][10] = envelope or '' end
    end
    return told
end
