-- include: entities, keys, lists
-- How a worker gets a delivery.

-- What a worker needs to know of delivery n: state, serial, route, attempts, failures, unknown since, deaths, origin,
-- entity; and for the gates: what it may pass.
local function read_delivery(id, n)
    return redis.call('HMGET', state_key(id), n .. 's', n .. 'j', n .. 'r', n .. 'a', n .. 'f', n .. 'b', n .. 'c', n .. 'm',
        'y', n .. 'g')
end

-- Whether the job of that serial is the delivery's current one and waits to be run. Its state may still be `w` although
-- its job is in a queue: a stock RQ scheduler moves jobs there without changing our state.
local function may_run(state, serial)
    return (state[1] == 'q' or state[1] == 'w') and tonumber(state[2] or 1) == serial
end

-- What a worker gets of a delivery (claim.lua lists it), except the envelope, which `enclose` appends.
local function describe(queue, job, id, state)
    return {
        job, queue, state[3], state[4] or '0', state[5] or '0', state[6] or '0', state[7] or '0', state[8] or '',
        superseded(id, state[9]),
    }
end

-- Marks a delivery as running at a worker, and returns what the worker gets of it. The caller must add the job to
-- `fd:held:{worker}`; it is left to the caller because there may be many, for which one command is enough.
local function hand_over(worker, queue, job, id, n, state)
    if state[1] == 'w' then
        redis.call('ZREM', scheduled_key(queue), job)
        redis.call('HDEL', state_key(id), n .. 't', n .. 'w')
    end
    redis.call('HSET', state_key(id), n .. 's', 'x', n .. 'o', worker)
    return describe(queue, job, id, state)
end

-- Appends the envelope to each description of *told*, and returns *told*. An envelope that is gone is an empty text.
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
